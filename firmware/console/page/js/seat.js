// The paired page: the panel, the call, the shift, the health.

import { attr, h, show, text } from './dom.js';
import { callCard } from './call.js';
import { healthCard } from './health.js';
import { t } from './i18n.js';
import { keypanel } from './keys.js';
import { shiftCard } from './shift.js';
import { signInCard } from './signin.js';
import { stateCard } from './state.js';
import { topBar } from './top.js';

/** seatScreen draws everything of a view. act sends an action. */
export function seatScreen(act, menu) {
  const state = stateCard();
  const keys = keypanel(act);
  const call = callCard(act);
  const signIn = signInCard(act);
  const shift = shiftCard();
  const health = healthCard();
  const top = topBar(act, menu);
  const lost = h('div', { 'class': 'lost', role: 'alert' }, t('line.lost'));
  const notice = h('p', { 'class': 'notice', role: 'status', 'aria-live': 'polite' });
  const noticeText = h('span');
  notice.append(noticeText);
  show(lost, false);

  const el = h('div', { 'class': 'seat' }, lost, top.el,
    h('main', {},
      h('section', { 'class': 'desk', 'aria-label': t('desk') }, state.el, keys.el),
      h('div', { 'class': 'side' }, notice, signIn.el, call.el, shift.el, health.el)));

  let view = null;
  function tick() {
    if (!view) return;
    state.tick(view);
    call.tick(view);
    keys.tick(view);
  }
  const timer = setInterval(tick, 250);

  return {
    kind: 'seat',
    el,
    update(v) {
      view = v;
      show(lost, false);
      el.classList.remove('stale');
      attr(el, 'data-state', v.state);
      const noticed = v.notice ? t(`notice.${v.notice}`, { cue: v.limits.hold_cue, max: v.limits.hold_max }) : '';
      text(noticeText, noticed);
      show(notice, noticed !== '');
      const out = !v.agent;
      show(signIn.el, out);
      show(shift.el, !out);
      show(call.el, !out || v.calls?.length > 0);
      for (const part of [top, state, keys, call, signIn, shift, health]) part.update(v);
      tick();
      document.title = `${t(`state.${v.state}`)} · ${v.seat}`;
    },
    levels(m) { call.levels(m.mic_db, m.ear_db); },
    lost() {
      show(lost, true);
      el.classList.add('stale');
    },
    close() {
      clearInterval(timer);
      keys.close();
      call.close();
      view = null;
    },
  };
}
