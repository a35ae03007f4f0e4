// The call: who, from which queue, for how long, and what may be done with it.

import * as clock from './clock.js';
import { attr, h, show, text } from './dom.js';
import { t } from './i18n.js';
import { icon, redraw } from './icons.js';
import { keypad } from './keypad.js';
import { typing } from './keys.js';
import { meters } from './meters.js';
import { targetForm } from './target.js';

export function callCard(act) {
  const customer = person();
  const second = person('consult');
  const rings = h('div', { 'class': 'rings' });
  const ringWord = h('span');
  const ringDots = h('span', { 'class': 'dots', 'aria-hidden': 'true' });
  rings.append(ringDots, ringWord);
  const levels = meters();
  const pad = keypad(act);

  const hold = button('hold', 'hold', 'p', () => act({ kind: view.state === 'hold' ? 'resume' : 'hold' }));
  const keys = button('keypad', 'keypad', 'k', () => open('keypad'));
  const transfer = button('transfer', 'transfer', 't', () => open('transfer'));
  const reject = button('reject', 'close', 'x', () => act({ kind: 'reject' }));
  const complete = button('transfer-complete', 'check', null, () => act({ kind: 'transfer-complete' }), 'primary');
  const back = button('transfer-cancel', 'resume', null, () => act({ kind: 'transfer-cancel' }));
  const moves = h('div', { 'class': 'moves' }, [hold, keys, transfer, reject, complete, back].map((b) => b.el));

  const transferForm = targetForm('transfer', [
    { kind: 'consult', word: 'transfer.consult', primary: true },
    { kind: 'transfer-blind', word: 'transfer.blind', when: (v) => v.limits.blind_transfer },
  ], act, () => open(''));
  const dialForm = targetForm('dial', [{ kind: 'dial', word: 'dial.go' }], act, () => {});

  const reasons = ['break', 'meal', 'training', 'meeting', 'helping', 'other'].map((r) =>
    h('button', { type: 'button', 'data-reason': r, onclick: () => act({ kind: 'busy', reason: r }) }, t(`reason.${r}`)));
  const why = h('div', { 'class': 'reasons', role: 'group', 'aria-label': t('busy.why') }, h('p', { 'class': 'hint' }, t('busy.why')), h('div', { 'class': 'row' }, reasons));
  const ready = h('button', { type: 'button', 'class': 'move primary', 'data-action': 'ready', onclick: () => act({ kind: 'ready' }) }, icon('ready'), t('ready.now'));
  const none = h('div', { 'class': 'no-call' }, h('p', { 'class': 'calm' }), why, ready, dialForm.el);
  const some = h('div', { 'class': 'a-call' }, customer.el, rings, second.el, moves, pad.el, transferForm.el);
  const el = h('section', { 'class': 'card call', 'aria-label': t('call') }, none, some, levels.el);

  let view = null, opened = '';
  function open(what) {
    opened = opened === what ? '' : what;
    show(pad.el, opened === 'keypad');
    show(transferForm.el, opened === 'transfer');
    attr(keys.el, 'aria-expanded', String(opened === 'keypad'));
    attr(transfer.el, 'aria-expanded', String(opened === 'transfer'));
    if (opened === 'transfer') transferForm.focus();
  }
  open('');

  const shortcuts = { p: hold, k: keys, t: transfer, x: reject };
  function down(e) {
    if (e.key === 'Escape' && opened) {
      document.activeElement?.blur();
      return open('');
    }
    if (e.repeat || e.ctrlKey || e.metaKey || e.altKey || typing()) return;
    if (opened === 'keypad' && pad.type(e.key)) return e.preventDefault();
    const b = shortcuts[e.key.toLowerCase()];
    if (b && !b.el.hidden && !b.el.disabled) {
      e.preventDefault();
      b.el.click();
    }
  }
  document.addEventListener('keydown', down);

  return {
    el,
    update(v) {
      view = v;
      const [c, other] = v.calls ?? [];
      const up = ['talking', 'hold'].includes(v.state);
      show(none, !c);
      show(some, Boolean(c));
      text(none.querySelector('.calm'), t(v.agent ? `calm.${v.state}` : 'calm.signed-out'));
      show(dialForm.el, !c && Boolean(v.agent) && v.limits.dial && v.links.pbx);
      show(why, v.state === 'busy');
      reasons.forEach((b) => attr(b, 'aria-pressed', String(b.dataset.reason === v.reason)));
      show(ready, ['busy', 'dnd', 'wrap-up'].includes(v.state));
      customer.set(c);
      second.set(other);
      show(hold.el, up && !other);
      show(keys.el, up);
      show(transfer.el, up && !other);
      show(reject.el, v.state === 'ringing');
      show(complete.el, Boolean(other));
      show(back.el, Boolean(other));
      redraw(hold.mark, v.state === 'hold' ? 'resume' : 'hold');
      text(hold.word, t(v.state === 'hold' ? 'resume' : 'hold'));
      if (!up && opened) open('');
      if (other && opened === 'transfer') open('');
      transferForm.update(v);
      dialForm.update(v);
      pad.update(v);
      show(rings, c?.phase === 'ringing');
      if (c?.phase === 'ringing') {
        const n = c.rings ?? 1, of = Math.max(v.limits.rings, n);
        text(ringWord, t('rings', { n, of: v.limits.rings || n }));
        ringDots.replaceChildren(...Array.from({ length: of }, (_, i) => h('i', { 'class': i < n ? 'on' : '' })));
      }
      levels.update(v);
    },
    tick(v) {
      customer.tick(v.calls?.[0]);
      second.tick(v.calls?.[1]);
    },
    levels(mic, ear) { levels.set(mic, ear); },
    close() {
      document.removeEventListener('keydown', down);
      view = null;
    },
  };
}

function button(name, iconName, shortcut, onclick, kind = '') {
  const mark = icon(iconName);
  const word = h('span', {}, t(name));
  const el = h('button', { type: 'button', 'class': `move ${kind}`, 'data-action': name, onclick, 'aria-keyshortcuts': shortcut },
    mark, word, shortcut ? h('kbd', { 'aria-hidden': 'true' }, shortcut.toUpperCase()) : null);
  return { el, mark, word };
}

// person is one party of the call: the customer, or who is consulted.
function person(kind = 'customer') {
  const direction = icon('in');
  const role = h('span', { 'class': 'role' });
  const number = h('span', { 'class': 'number' });
  const name = h('span', { 'class': 'name' });
  const queue = h('span', { 'class': 'queue' });
  const phase = h('span', { 'class': 'phase' });
  const time = h('span', { 'class': 'time' });
  const el = h('div', { 'class': `person ${kind}` },
    h('div', { 'class': 'line' }, direction, role, queue, h('span', { 'class': 'grow' }), phase, time),
    h('div', { 'class': 'line big' }, number, name));
  return {
    el,
    set(c) {
      show(el, Boolean(c));
      if (!c) return [number, name, queue, phase, time].forEach((x) => text(x, ''));
      redraw(direction, c.direction === 'out' ? 'out' : 'in');
      text(role, t(kind === 'consult' ? 'consulted' : c.direction === 'out' ? 'called' : 'caller'));
      text(number, c.peer || t('number.hidden'));
      text(name, c.name ?? '');
      text(queue, c.queue ? t('queue', { queue: c.queue }) : '');
      show(queue, Boolean(c.queue));
      text(phase, t(`phase.${c.phase}`));
      attr(el, 'data-phase', c.phase);
    },
    tick(c) {
      if (c) text(time, clock.span(clock.since(c.answered ?? c.began)));
    },
  };
}
