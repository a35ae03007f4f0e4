// The head of the panel: the beacon, the agent's state in large, its timer.

import * as clock from './clock.js';
import { attr, h, show, text } from './dom.js';
import { t } from './i18n.js';
import { icon, redraw } from './icons.js';
import { beaconWords, lamp, words } from './lamps.js';

/** bar is a timer's line with marks at fractions of its length. */
export function bar(name) {
  const fill = h('i', { 'class': 'fill' });
  const marks = h('span', { 'class': 'marks' });
  const el = h('div', { 'class': 'bar', 'data-bar': name, role: 'progressbar', 'aria-valuemin': '0' }, fill, marks);
  let drawn = '';
  return { el, set(value, max, at = [], tone = '') {
    attr(el, 'aria-valuemax', max);
    attr(el, 'aria-valuenow', Math.min(value, max));
    attr(el, 'data-tone', tone || null);
    fill.style.transform = `scaleX(${max > 0 ? Math.min(1, value / max) : 0})`;
    if (drawn !== at.join()) {
      drawn = at.join();
      marks.replaceChildren(...at.map((s) => {
        const m = h('i', {}, h('b', {}, String(s)));
        m.style.left = `${100 * s / max}%`;
        return m;
      }));
    }
  } };
}

export function stateCard() {
  const beacon = lamp('beacon', 'beam');
  const says = h('span', { 'class': 'says' });
  const mark = icon('ready');
  const name = h('h1');
  const timer = h('span', { 'class': 'timer', role: 'timer' });
  const line = h('p', { 'class': 'under-state' });
  const pending = h('p', { 'class': 'pending' });
  const pendingText = h('span');
  pending.append(icon('clock'), pendingText);
  const progress = bar('state');
  const rec = lamp('rec');
  const recWord = h('span');
  const recTimer = h('b');
  const recWhy = h('span', { 'class': 'why' });
  const el = h('div', { 'class': 'state' }, beacon.el,
    h('div', { 'class': 'headline' }, h('span', { 'class': 'badge' }, mark), name, timer),
    line, progress.el, pending,
    h('div', { 'class': 'rec' }, h('span', { 'class': 'lamp-word' }, rec.el, recWord, recTimer, recWhy), says));

  return {
    el,
    update(v) {
      beacon.set(v.lamps?.beacon);
      text(says, t('beacon.is', { light: beaconWords(v.lamps?.beacon) }));
      redraw(mark, v.state);
      text(name, t(`state.${v.state}`));
      show(pending, Boolean(v.pending));
      if (v.pending) text(pendingText, t(v.calls?.length ? 'pending.after' : 'pending.now', { state: t(`state.${v.pending}`) }));
      rec.set(v.lamps?.rec);
      text(recWord, words('rec', v.lamps?.rec));
      text(recWhy, v.rec.failed ?? '');
      attr(el.querySelector('.rec'), 'data-rec', v.rec.failed ? 'failed' : v.rec.paused ? 'paused' : v.rec.on ? 'on' : 'off');
    },
    tick(v) {
      const customer = v.calls?.[0];
      const L = v.limits;
      const on = clock.since(v.since);
      text(recTimer, v.rec.paused && v.rec.until ? t('rec.resumes', { time: clock.span(clock.left(v.rec.until)) }) : '');
      let shown = clock.span(on), words = '', max = 0;
      switch (v.state) {
        case 'ready':
          words = t('under.ready');
          break;
        case 'ringing':
          shown = clock.span(clock.since(customer?.began ?? v.since));
          words = L.rings ? t('under.ringing', { n: L.rings }) : '';
          break;
        case 'dialling':
          words = t('under.dialling');
          break;
        case 'talking': {
          const talk = clock.since(customer?.answered ?? v.since);
          shown = clock.span(talk);
          words = L.talk && talk >= L.talk ? t('under.talking.long', { time: clock.span(L.talk) }) : t('under.talking');
          break;
        }
        case 'hold': {
          const held = clock.since(customer?.held_since ?? v.since);
          shown = clock.span(held);
          const late = L.hold_max && held >= L.hold_max, cue = L.hold_cue && held >= L.hold_cue;
          words = t(late ? 'under.hold.late' : cue ? 'under.hold.cue' : 'under.hold', { cue: L.hold_cue, max: L.hold_max });
          max = L.hold_max;
          progress.set(held, max, [L.hold_cue, L.hold_max].filter(Boolean), late ? 'late' : cue ? 'warn' : '');
          break;
        }
        case 'wrap-up':
          if (v.until) {
            const left = clock.left(v.until);
            shown = clock.span(left);
            words = t('under.wrap-up', { seconds: left });
            max = L.wrap_up || 60;
            progress.set(left, max, [], left <= L.wrap_up_warn ? 'warn' : '');
          } else words = t('under.wrap-up.open');
          break;
        case 'busy':
          words = t(`reason.${v.reason || 'none'}`);
          if (v.over_limit) words = t('under.busy.over', { reason: words });
          break;
        case 'dnd':
          words = t('under.dnd');
          break;
        case 'offline':
          words = t('under.offline');
          break;
        case 'signed-out':
          shown = '';
          words = t('under.signed-out');
      }
      text(timer, shown);
      text(line, words);
      show(progress.el, max > 0);
    },
  };
}
