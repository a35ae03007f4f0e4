// Signing in: the agent's number, and a PIN where the centre wants one.

import { h, show } from './dom.js';
import { t } from './i18n.js';
import { icon } from './icons.js';

export function signInCard(act) {
  const agent = h('input', { name: 'agent', autocomplete: 'off', spellcheck: 'false', maxlength: 32, required: true, id: 'agent' });
  const pin = h('input', { name: 'pin', type: 'password', autocomplete: 'off', inputmode: 'numeric', maxlength: 32, id: 'pin' });
  const pinRow = h('div', { 'class': 'field' }, h('label', { 'for': 'pin' }, t('pin')), pin);
  const el = h('form', { 'class': 'card sign-in', novalidate: true, async onsubmit(e) {
    e.preventDefault();
    const number = agent.value.trim();
    if (!number) return agent.focus();
    const action = { kind: 'sign-in', agent: number };
    if (pin.value) action.pin = pin.value;
    pin.value = '';
    if (await act(action)) {
      agent.value = '';
      agent.blur();
    }
  } },
    h('h2', {}, icon('user'), t('sign-in')),
    h('div', { 'class': 'field' }, h('label', { 'for': 'agent' }, t('agent.number')), agent),
    pinRow,
    h('button', { type: 'submit', 'class': 'primary', 'data-action': 'sign-in' }, t('sign-in.go')),
    h('p', { 'class': 'hint' }, t('sign-in.hint')));
  return { el, update(v) { show(pinRow, Boolean(v.limits?.pin)); } };
}
