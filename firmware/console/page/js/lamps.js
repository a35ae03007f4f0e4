// Lamps. CSS makes the rhythm (css/lamps.css, the same as panel.Lit in Go);
// here all of them are put on one beat, and each is also said in words.

import { attr, h } from './dom.js';
import { has, t } from './i18n.js';

const off = { colour: 'off', blink: 'steady' };

/** lamp makes a lamp of the panel; kind is 'dot' or 'bar'. */
export function lamp(name, kind = 'dot') {
  const el = h('span', { 'class': `lamp ${kind}`, 'data-lamp': name, 'data-colour': 'off', 'data-blink': 'steady', 'aria-hidden': 'true' },
    h('i', { 'class': 'under' }), h('i', { 'class': 'glow' }));
  return {
    el,
    set(light = off) {
      if (el.dataset.colour === light.colour && el.dataset.blink === light.blink) return;
      attr(el, 'data-colour', light.colour);
      attr(el, 'data-blink', light.blink);
      beat(el);
    },
  };
}

/** beat starts an element's rhythm at the page's common zero. */
function beat(el) {
  for (const a of el.getAnimations({ subtree: true })) a.startTime = 0;
}

// A lamp that was not drawn (hidden, another tab) gets its animation anew.
document.addEventListener('animationstart', (e) => {
  const el = e.target.closest?.('.lamp');
  if (el) beat(el);
});

/** words says what a lamp shows: what it means there, or just how it burns. */
export function words(name, light = off) {
  const how = light.colour === 'off' ? 'off' : light.blink;
  const key = `lamp.${name}.${how}`;
  return has(key) ? t(key) : t(`light.${how}`);
}

/** beaconWords is colour and rhythm, for those who do not see it. */
export function beaconWords(light = off) {
  if (light.colour === 'off') return t('light.off');
  return t('beacon', { colour: t(`colour.${light.colour}`), blink: t(`light.${light.blink}`) });
}
