// Short words about what was refused, for a few seconds.

import { h } from './dom.js';
import { has, t } from './i18n.js';
import { icon } from './icons.js';

function toast(message) {
  const box = document.getElementById('toasts');
  const el = h('div', { 'class': 'toast' }, icon('alert'), h('span', {}, message));
  while (box.children.length > 2) box.firstChild.remove();
  box.append(el);
  setTimeout(() => el.remove(), 6000);
}

/** refusal says why something was not done. */
export function refusal(err) {
  const key = `error.${err.code}`;
  toast(has(key) ? t(key) : err.text || t('error.failed'));
}

export function clear() { document.getElementById('toasts').replaceChildren(); }
