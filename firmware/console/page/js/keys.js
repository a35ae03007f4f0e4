// The nine keys of the panel, by mouse, touch and keyboard. Each asks the seat
// for exactly what the key on the desk does; the seat decides.

import * as clock from './clock.js';
import { attr, h, text } from './dom.js';
import { t } from './i18n.js';
import { icon, redraw } from './icons.js';
import { lamp, words } from './lamps.js';

// hold: milliseconds; only: the short press does nothing.
const keys = [
  { key: 'answer', icon: 'answer', lamp: 'answer', shortcut: 'a' },
  { key: 'busy', icon: 'busy', lamp: 'busy', shortcut: 'b' },
  { key: 'acw', icon: 'acw', lamp: 'acw', shortcut: 'w' },
  { key: 'dnd', icon: 'dnd', lamp: 'dnd', shortcut: 'd' },
  { key: 'mute', icon: 'mute', lamp: 'mute', shortcut: 'm' },
  { key: 'rec-pause', icon: 'rec-pause', shortcut: 'r', hold: 1000, only: true },
  { key: 'vol-down', icon: 'vol-down', shortcut: '-' },
  { key: 'vol-up', icon: 'vol-up', shortcut: '+' },
  { key: 'help', icon: 'help', shortcut: 'h', hold: 3000 },
];

/** typing is true while keys belong to a field or a dialog. */
export function typing() {
  const el = document.activeElement;
  return Boolean(el?.closest('input, textarea, select, [contenteditable]'));
}

export function keypanel(act) {
  const all = keys.map((k) => keycap(k, act));
  const el = h('div', { 'class': 'keys', role: 'group', 'aria-label': t('keys') }, all.map((k) => k.el));
  const by = Object.fromEntries(all.map((k) => [k.shortcut, k]));
  by['='] = by['+'];
  by['_'] = by['-'];

  function down(e) {
    if (e.repeat || e.ctrlKey || e.metaKey || e.altKey || typing()) return;
    const k = by[e.key.toLowerCase()];
    if (!k) return;
    e.preventDefault();
    k.down();
  }
  function up(e) {
    by[e.key.toLowerCase()]?.up();
  }
  function away() { all.forEach((k) => k.cancel()); }
  document.addEventListener('keydown', down);
  document.addEventListener('keyup', up);
  window.addEventListener('blur', away);
  return {
    el,
    update(v) { all.forEach((k) => k.update(v)); },
    tick(v) { all[0].tick(v); },
    close() {
      away();
      document.removeEventListener('keydown', down);
      document.removeEventListener('keyup', up);
      window.removeEventListener('blur', away);
    },
  };
}

function keycap(k, act) {
  const mark = icon(k.icon);
  const label = h('span', { 'class': 'label' }, t(`key.${k.key}`));
  const word = h('span', { 'class': 'word' });
  const light = k.lamp ? lamp(k.lamp) : null;
  const el = h('button', { type: 'button', 'class': 'key', 'data-key': k.key, 'aria-keyshortcuts': k.shortcut },
    h('span', { 'class': 'cap' }, mark, label), light?.el ?? null, word,
    k.hold ? h('span', { 'class': 'filling', 'aria-hidden': 'true' }) : null,
    h('kbd', { 'aria-hidden': 'true' }, k.shortcut.toUpperCase()));
  if (k.hold) el.style.setProperty('--hold', `${k.hold}ms`);

  const press = (held) => act(held ? { kind: 'press-key', key: k.key, held } : { kind: 'press-key', key: k.key });
  let timer = 0, pressed = false;

  // down and up follow the finger. A key without hold acts at once, as the one
  // on the desk does.
  function down() {
    if (pressed) return;
    pressed = true;
    el.classList.add('down');
    if (!k.hold) return void press(false);
    el.classList.add('holding');
    timer = setTimeout(() => {
      timer = 0;
      el.classList.remove('holding');
      el.classList.add('held');
      press(true);
    }, k.hold);
  }
  function up() {
    if (!pressed) return;
    const short = timer !== 0;
    cancel();
    if (short && !k.only) press(false);
  }
  function cancel() {
    clearTimeout(timer);
    timer = 0;
    pressed = false;
    el.classList.remove('down', 'holding', 'held');
  }

  el.addEventListener('pointerdown', (e) => {
    if (e.button !== 0) return;
    el.setPointerCapture(e.pointerId);
    down();
  });
  el.addEventListener('pointerup', up);
  el.addEventListener('pointercancel', cancel);
  el.addEventListener('contextmenu', (e) => e.preventDefault());
  el.addEventListener('keydown', (e) => {
    if (e.key !== ' ' && e.key !== 'Enter') return;
    e.preventDefault();
    if (!e.repeat) down();
  });
  el.addEventListener('keyup', (e) => {
    if (e.key !== ' ' && e.key !== 'Enter') return;
    e.preventDefault();
    up();
  });
  el.addEventListener('blur', cancel);
  // A click without a finger is a screen reader's, which cannot hold.
  el.addEventListener('click', (e) => {
    if (e.detail === 0) press(Boolean(k.only));
  });

  return {
    el, down, up, cancel,
    shortcut: k.shortcut,
    update(v) {
      const at = v.lamps?.[k.lamp];
      light?.set(at);
      if (k.key === 'answer') {
        const hangup = ['talking', 'hold', 'dialling'].includes(v.state);
        redraw(mark, hangup ? 'hangup' : 'answer');
        text(label, t(hangup ? 'key.hangup' : 'key.answer'));
        attr(el, 'data-does', hangup ? 'hangup' : v.state === 'ringing' ? 'answer' : 'rest');
      }
      if (k.key === 'mute') redraw(mark, v.headset.muted ? 'mute' : 'mic');
      if (k.key === 'rec-pause') text(label, t(v.rec.paused ? 'key.rec-resume' : 'key.rec-pause'));
      if (k.lamp) {
        attr(el, 'data-lit', at && at.colour !== 'off');
        text(word, words(k.lamp, at));
      }
      if (k.key === 'rec-pause') text(word, t('key.hold', { seconds: 1 }));
      if (k.key === 'help') text(word, t('key.help.hold'));
      if (k.key.startsWith('vol')) text(word, t('volume', { db: `${v.headset.volume > 0 ? '+' : ''}${v.headset.volume}`.replace('-', '−') }));
    },
    tick(v) {
      const left = v.confirm_until ? clock.left(v.confirm_until) : 0;
      attr(el, 'data-confirm', left > 0);
      if (left > 0) text(word, t('confirm.hangup', { seconds: left }));
      else text(word, words('answer', v.lamps?.answer));
    },
  };
}
