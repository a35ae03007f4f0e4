// Pairing: the page shows a code, somebody presses HELP on the desk.

import { pairing } from './api.js';
import { attr, h, show, text } from './dom.js';
import { has, t } from './i18n.js';
import { icon } from './icons.js';
import { bar } from './state.js';
import { languageSwitch, themeButton } from './top.js';
import { refusal } from './toast.js';

export function pairingScreen({ reason, lang, paired }) {
  const title = h('h1');
  const code = h('output', { 'class': 'code', 'aria-live': 'assertive' });
  const steps = h('p', { 'class': 'what' });
  const key = h('div', { 'class': 'help-key', 'aria-hidden': 'true' }, icon('help'), h('span', {}, t('key.help')));
  const progress = bar('pairing');
  const left = h('p', { 'class': 'hint' });
  const begin = h('button', { type: 'button', 'class': 'primary', 'data-action': 'pair', onclick: start }, t('pair.go'));
  const cancel = h('button', { type: 'button', 'data-action': 'pair-cancel', onclick: stop }, t('pair.cancel'));
  const ended = h('p', { 'class': 'ended' }, reason && has(`ended.${reason}`) ? t(`ended.${reason}`) : '');
  show(ended, ended.textContent !== '');
  const el = h('div', { 'class': 'pairing' },
    h('div', { 'class': 'tools' }, languageSwitch(lang), themeButton()),
    h('main', { 'class': 'card' }, ended, title, code, key, steps, progress.el, left, h('div', { 'class': 'row' }, begin, cancel)));

  let closed = false, timer = 0, fetched = 0, at = { state: 'none', seconds: 0 };

  function draw() {
    const { state, seat } = at;
    attr(el, 'data-pair', state);
    text(title, t('pair.title', { seat: seat ?? '' }));
    text(code, state === 'waiting' ? at.code : '');
    show(code, state === 'waiting');
    show(key, state === 'waiting');
    show(begin, state === 'none' || state === 'lost');
    show(cancel, state === 'waiting');
    show(progress.el, state === 'waiting');
    text(steps, t(`pair.${state}`, { seat: seat ?? '' }));
    const seconds = Math.max(0, (at.seconds ?? 0) - Math.floor((Date.now() - fetched) / 1000));
    text(left, state === 'waiting' || state === 'busy' ? t('pair.left', { seconds }) : state === 'none' ? t('pair.why') : '');
    if (state === 'waiting') progress.set(seconds, 60);
  }

  function take(m) {
    at = m;
    fetched = Date.now();
    draw();
  }

  // look asks how far it is; it goes on by itself when the key was pressed.
  async function look() {
    clearTimeout(timer);
    try {
      let m = await pairing.state();
      if (m.state === 'confirmed') m = await pairing.claim();
      if (closed) return;
      if (m.state === 'paired') return paired();
      take(m);
    } catch (err) {
      if (closed) return;
      take({ ...at, state: err.code === 'lost' ? 'lost' : at.state === 'lost' ? 'none' : at.state });
    }
    timer = setTimeout(look, at.state === 'waiting' ? 700 : 1500);
  }

  async function start() {
    try {
      take(await pairing.start());
    } catch (err) {
      refusal(err);
    }
    look();
  }

  async function stop() {
    await pairing.end().catch(() => {});
    look();
  }

  const ticking = setInterval(draw, 500);
  draw();
  look();
  return { kind: 'pairing', el, close() {
    closed = true;
    clearTimeout(timer);
    clearInterval(ticking);
  } };
}
