// Level meters: peak of microphone and ear, -60 to 0 dBFS.

import { attr, h, text } from './dom.js';
import { t } from './i18n.js';
import { icon, redraw } from './icons.js';

const floor = -60;

function meter(name, iconName) {
  const mark = icon(iconName);
  const fill = h('i');
  const word = h('span', { 'class': 'db' });
  const scale = h('span', { 'class': 'scale', role: 'meter', 'aria-label': t(`meter.${name}`), 'aria-valuemin': floor, 'aria-valuemax': 0 }, fill);
  const el = h('div', { 'class': 'meter', 'data-meter': name }, mark, h('span', { 'class': 'what' }, t(`meter.${name}`)), scale, word);
  return { el, mark, set(db, silent) {
    const at = Math.max(floor, Math.min(0, db));
    attr(scale, 'aria-valuenow', Math.round(at));
    fill.style.clipPath = `inset(0 ${100 * at / floor}% 0 0)`;
    text(word, silent || (db <= floor ? t('meter.silent') : `${String(Math.round(db)).replace('-', '−')} dB`));
  } };
}

export function meters() {
  const mic = meter('mic', 'mic');
  const ear = meter('ear', 'ear');
  const missing = h('p', { 'class': 'headset-missing' }, icon('alert'), h('span', {}, t('headset.missing')));
  const el = h('div', { 'class': 'meters', role: 'group', 'aria-label': t('headset') }, mic.el, ear.el, missing);
  let muted = false;
  return {
    el,
    update(v) {
      muted = v.headset.muted;
      missing.hidden = v.headset.present;
      redraw(mic.mark, muted ? 'mute' : 'mic');
      attr(mic.el, 'data-muted', muted);
      this.set(v.headset.mic_db, v.headset.ear_db);
    },
    set(micDB, earDB) {
      mic.set(muted ? floor : micDB, muted ? t('meter.muted') : '');
      ear.set(earDB);
    },
  };
}
