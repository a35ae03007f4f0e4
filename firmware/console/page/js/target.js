// A form for a number or extension, with one button for each thing that may be
// done with it.

import { h, show, text } from './dom.js';
import { t } from './i18n.js';

export function targetForm(name, ways, act, done) {
  const field = h('input', { name: 'target', inputmode: 'tel', autocomplete: 'off', spellcheck: 'false', maxlength: 32, required: true, placeholder: t(`${name}.placeholder`), 'aria-label': t(`${name}.placeholder`) });
  const buttons = ways.map((w) => h('button', { type: w === ways[0] ? 'submit' : 'button', 'class': w.primary ? 'primary' : '', 'data-action': w.kind }, t(w.word)));
  const hint = h('p', { 'class': 'hint' });
  const el = h('form', { 'class': 'target', 'data-form': name, novalidate: true }, h('div', { 'class': 'row' }, field, buttons), hint);
  async function go(kind) {
    const target = field.value.replace(/[\s()]/g, '');
    if (!target) return field.focus();
    if (!await act({ kind, target })) return;
    field.value = '';
    field.blur();
    done();
  }
  el.addEventListener('submit', (e) => {
    e.preventDefault();
    go(ways[0].kind);
  });
  buttons.forEach((b, i) => b.type === 'button' && b.addEventListener('click', () => go(ways[i].kind)));
  return {
    el,
    focus() { field.focus(); },
    update(v) {
      ways.forEach((w, i) => show(buttons[i], !w.when || Boolean(w.when(v))));
      text(hint, t(`${name}.hint`));
    },
  };
}
