// The DTMF pad. What was sent is counted and never shown: it may be a PIN.

import { h, text } from './dom.js';
import { t } from './i18n.js';

export function keypad(act) {
  const sent = h('p', { 'class': 'sent', 'aria-live': 'polite' });
  const send = (digit) => act({ kind: 'dtmf', digit });
  const buttons = [...'123456789*0#'].map((d) => h('button', { type: 'button', 'class': 'digit', 'data-digit': d, onclick: () => send(d) }, d));
  const el = h('div', { 'class': 'pad', role: 'group', 'aria-label': t('keypad') }, h('div', { 'class': 'digits' }, buttons), sent);
  return {
    el,
    /** type takes a key of the keyboard if it is a digit. */
    type(key) {
      const b = buttons.find((x) => x.dataset.digit === key);
      if (!b) return false;
      b.classList.add('down');
      setTimeout(() => b.classList.remove('down'), 120);
      send(key);
      return true;
    },
    update(v) { text(sent, t('digits.sent', { n: v.calls?.[0]?.digits ?? 0 })); },
  };
}
