// How the seat is, in words: one calm line, or what is wrong and what to do.

import { h } from './dom.js';
import { has, lang, t } from './i18n.js';
import { icon } from './icons.js';

export function healthCard() {
  const body = h('div', { 'class': 'body' });
  const el = h('section', { 'class': 'card health', 'aria-label': t('health') }, h('h2', {}, t('health')), body);
  let drawn = '';
  return { el, update(v) {
    const parts = v.health ?? [];
    const now = lang() + JSON.stringify(parts);
    if (now === drawn) return;
    drawn = now;
    const bad = parts.filter((p) => !p.ok), good = parts.filter((p) => p.ok);
    body.replaceChildren(
      ...bad.map((p) => h('div', { 'class': 'part bad' }, icon('alert'), h('div', {}, h('b', {}, name(p)), h('p', {}, sentence(p))))),
      ...(good.length ? [h('p', { 'class': 'part good' }, icon('check'), h('span', {}, bad.length ? t('health.good') : t('health.all'), ' ', h('small', {}, good.map(name).join(t('list.and')))))] : []));
  } };
}

function name(p) {
  const key = `part.${p.part}`;
  return has(key) ? t(key) : p.part;
}

function sentence(p) {
  const key = `health.${p.code}`;
  return p.code && has(key) ? t(key) : p.text || t('health.bad');
}
