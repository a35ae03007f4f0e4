// The agent's own calls of this shift, and where each recording stands.

import * as clock from './clock.js';
import { attr, h, show, text } from './dom.js';
import { lang, t } from './i18n.js';
import { icon } from './icons.js';

const steps = ['sealed', 'uploading', 'receipted'];

export function shiftCard() {
  const count = h('span', { 'class': 'count' });
  const list = h('ol', { 'class': 'items' });
  const none = h('p', { 'class': 'calm' }, t('shift.none'));
  const el = h('section', { 'class': 'card shift', 'aria-label': t('shift') },
    h('h2', {}, t('shift'), count), none, list,
    h('p', { 'class': 'promise' }, icon('sealed'), h('span', {}, t('shift.promise'))));
  let drawn = '';
  return { el, update(v) {
    const items = v.shift ?? [];
    const now = lang() + JSON.stringify(items);
    if (now === drawn) return;
    drawn = now;
    show(none, items.length === 0);
    const talk = items.reduce((sum, i) => sum + i.seconds, 0);
    text(count, items.length ? t('shift.count', { n: items.length, time: clock.span(talk) }) : '');
    list.replaceChildren(...items.map(item));
  } };
}

function item(i) {
  return h('li', { 'data-recording': i.recording },
    h('span', { 'class': 'when' }, icon(i.direction === 'out' ? 'out' : 'in'), h('time', { datetime: i.began }, clock.timeOfDay(i.began, lang()))),
    h('span', { 'class': 'number' }, i.peer || t('number.hidden')),
    h('span', { 'class': 'length' }, i.seconds ? clock.span(i.seconds) : t('shift.missed')),
    recording(i));
}

// recording draws the way sealed -> uploaded -> receipt, as far as it went.
function recording(i) {
  const at = steps.indexOf(i.recording);
  if (at < 0) return h('span', { 'class': 'way none' }, h('span', { 'class': 'where' }, t('recording.none')));
  const way = h('span', { 'class': 'steps', 'aria-hidden': 'true' }, steps.map((s, n) => {
    const el = h('i', { 'class': n < at || at === 2 ? 'done' : n === at ? 'now' : '' }, icon(s));
    attr(el, 'title', t(`recording.${s}`));
    return el;
  }));
  const kept = i.kept_until ? h('span', { 'class': 'kept' }, t('recording.kept', { date: clock.date(i.kept_until, lang()) })) : null;
  return h('span', { 'class': 'way' }, way, h('span', { 'class': 'where' }, h('span', {}, t(`recording.${i.recording}`)), kept));
}
