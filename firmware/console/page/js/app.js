// The page: a browser that is paired sees the seat, any other sees how to pair.

import { h } from './dom.js';
import { Line, pairing } from './api.js';
import * as clock from './clock.js';
import { lang, load, use } from './i18n.js';
import { pairingScreen } from './pairing.js';
import { seatScreen } from './seat.js';
import * as theme from './theme.js';
import { clear, refusal } from './toast.js';

const root = document.getElementById('app');
let screen = null; // what is shown: { el, close() }
let make = null; // makes it anew, in another language

function show(maker) {
  screen?.close();
  clear();
  make = maker;
  screen = maker ? maker() : null;
  root.replaceChildren(...(screen ? [screen.el] : []));
}

/** seat is the whole of a paired page's life. Nothing outlives it. */
function seat() {
  let last = null;
  let line = null;
  const act = (action) => line.act(action).then(() => true, (err) => {
    refusal(err);
    return false;
  });
  const draw = () => seatScreen(act, { lang: (l) => act({ kind: 'lang', lang: l }), unpair });
  line = new Line({
    onview(m) {
      clock.sync(m.now);
      last = m.view;
      if (use(m.view.lang) || screen?.kind !== 'seat') show(draw);
      screen.update(last);
    },
    onlevels(m) {
      if (screen?.kind === 'seat') screen.levels(m);
    },
    onlost() {
      if (screen?.kind === 'seat') screen.lost();
    },
    onbye(reason) {
      last = null;
      pair(reason);
    },
  });
  async function unpair() {
    line.close();
    await pairing.end().catch(() => {});
    pair('unpaired');
  }
}

/** pair shows how to pair, and goes on to the seat when that is done. */
function pair(reason) {
  document.title = 'deskset';
  show(() => pairingScreen({
    reason,
    lang(l) {
      use(l);
      localStorage.setItem('lang', l);
      show(make);
    },
    paired: seat,
  }));
}

async function start() {
  theme.apply();
  await load();
  use(localStorage.getItem('lang') ?? (navigator.language.startsWith('zh') ? 'zh-CN' : lang()));
  try {
    const { state, lang: seats } = await pairing.state();
    if (!localStorage.getItem('lang')) use(seats);
    if (state === 'paired') return seat();
  } catch { /* the pairing screen says so */ }
  pair('');
}

// A page from the browser's memory may be somebody else's: begin anew.
addEventListener('pageshow', (e) => e.persisted && location.reload());
addEventListener('pagehide', () => show(null));

start().catch((err) => root.replaceChildren(h('p', { 'class': 'noscript' }, String(err))));
