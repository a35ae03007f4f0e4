// The bar at the top: which seat, who, what it is connected to, language.

import { attr, h, show, text } from './dom.js';
import { lang, languages, t } from './i18n.js';
import { icon, redraw } from './icons.js';
import { lamp, words } from './lamps.js';
import * as theme from './theme.js';

/** languageSwitch is a pair of buttons; pick(language) is called. */
export function languageSwitch(pick) {
  const names = { 'zh-CN': '中文', 'en': 'English' };
  return h('div', { 'class': 'langs', role: 'group', 'aria-label': t('language') },
    languages.map((l) => h('button', { type: 'button', lang: l, 'data-lang': l, 'aria-pressed': String(l === lang()), onclick: () => pick(l) }, names[l])));
}

/** themeButton goes round light, dark and the system's. */
export function themeButton() {
  const name = () => t(`theme.${theme.current()}`);
  const b = h('button', { 'class': 'quiet', type: 'button', title: name(), 'aria-label': name(), onclick() {
    theme.next();
    b.title = name();
    attr(b, 'aria-label', name());
  } }, icon('theme'));
  return b;
}

function link(name) {
  const mark = icon('check');
  const word = h('span');
  const el = h('span', { 'class': 'tie', 'data-tie': name }, mark, word);
  return { el, set(ok, why) {
    attr(el, 'data-ok', String(ok));
    attr(el, 'title', why);
    redraw(mark, ok ? 'check' : 'alert');
    text(word, t(ok ? `link.${name}.ok` : `link.${name}.lost`));
  } };
}

export function topBar(act, menu) {
  const seat = h('strong');
  const agent = h('span', { 'class': 'agent' });
  const pbx = link('pbx');
  const centre = link('centre');
  const linkLamp = lamp('link');
  const linkWord = h('span');
  const out = h('button', { 'class': 'quiet labelled', type: 'button', 'data-action': 'sign-out', onclick: () => act({ kind: 'sign-out' }) }, icon('sign-out'), h('span', {}, t('sign-out')));
  const leave = h('button', { 'class': 'quiet labelled', type: 'button', 'data-action': 'unpair', onclick: menu.unpair },
    icon('unlink'), h('span', {}, t('unpair')));

  const el = h('header', { 'class': 'top' },
    h('div', { 'class': 'who' }, seat, agent),
    h('div', { 'class': 'ties', role: 'group', 'aria-label': t('links') },
      h('span', { 'class': 'tie' }, linkLamp.el, linkWord), pbx.el, centre.el),
    h('div', { 'class': 'tools' }, languageSwitch(menu.lang), themeButton(), out, leave));
  return { el, update(v) {
    text(seat, v.seat);
    text(agent, v.agent ? t('agent.is', { agent: v.agent }) : t('agent.none'));
    attr(seat, 'title', t('firmware', { version: v.firmware }));
    pbx.set(v.links.pbx, v.links.pbx_err);
    centre.set(v.links.centre);
    linkLamp.set(v.lamps?.link);
    text(linkWord, words('link', v.lamps?.link));
    show(out, Boolean(v.agent));
    show(leave, !v.agent);
  } };
}
