// Icons of the page, drawn in a 24 x 24 box with a 1.8 stroke.

const SVG = 'http://www.w3.org/2000/svg';

const handset = 'M3.2 14.2c0-5 4-7.7 8.8-7.7s8.8 2.7 8.8 7.7c0 .7-.5 1.2-1.2 1.2l-2.6-.3c-.6 0-1.1-.5-1.2-1.1l-.3-2a10 10 0 0 0-7 0l-.3 2c-.1.6-.6 1-1.2 1.1l-2.6.3c-.7 0-1.2-.5-1.2-1.2z';

// Each is a list of paths; the name before a colon is another element.
const shapes = {
  'answer': ['turned:' + handset],
  'hangup': [handset],
  'busy': ['M5 9h11v5a5 5 0 0 1-5 5h-1a5 5 0 0 1-5-5z', 'M16 10h1.5a2.5 2.5 0 0 1 0 5H16', 'M8 3.5v2M12 3.5v2'],
  'acw': ['M4 20l1-4L16 5l3 3L8 19z', 'M13.5 7.5l3 3', 'M13 20h7'],
  'dnd': ['M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z'],
  'mic': ['M12 3.5a2.8 2.8 0 0 1 2.8 2.8v4.9a2.8 2.8 0 0 1-5.6 0V6.3a2.8 2.8 0 0 1 2.8-2.8z', 'M6 11.5a6 6 0 0 0 12 0M12 17.5v3M9 20.5h6'],
  'mute': ['M9.2 8.5v2.7a2.8 2.8 0 0 0 4.5 2.2M14.8 10.5V6.3a2.8 2.8 0 0 0-5.3-1.2', 'M6 11.5a6 6 0 0 0 9.5 4.9M18 11.5c0 .9-.2 1.7-.5 2.4M12 17.5v3M9 20.5h6', 'M4 4l16 16'],
  'rec-pause': ['circle:12 12 8.5', 'M10 9v6M14 9v6'],
  'rec': ['circle:12 12 8.5', 'dot:12 12 3.5'],
  'vol-up': ['M4 10v4h3.5l4.5 4V6L7.5 10z', 'M16.5 12h5M19 9.5v5'],
  'vol-down': ['M4 10v4h3.5l4.5 4V6L7.5 10z', 'M16.5 12h5'],
  'help': ['circle:12 12 8.5', 'M9.6 9.7a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.2.9-1.2 1.8', 'dot:12 16.6 .6'],
  'link': ['M10 14a3.5 3.5 0 0 1 0-5l2.5-2.5a3.5 3.5 0 0 1 5 5L16 13', 'M14 10a3.5 3.5 0 0 1 0 5l-2.5 2.5a3.5 3.5 0 0 1-5-5L8 11'],
  'unlink': ['M14 17l-2 1a3.5 3.5 0 0 1-5-5L8 11', 'M10 7l2-1a3.5 3.5 0 0 1 5 5L16 13', 'M4 4l16 16'],
  'hold': ['M9 6v12M15 6v12'],
  'resume': ['M8 5.5v13l10.5-6.5z'],
  'keypad': ['dot:6 5 1.3', 'dot:12 5 1.3', 'dot:18 5 1.3', 'dot:6 11 1.3', 'dot:12 11 1.3', 'dot:18 11 1.3', 'dot:6 17 1.3', 'dot:12 17 1.3', 'dot:18 17 1.3'],
  'transfer': ['M4 8h14M14.5 4.5L18 8l-3.5 3.5', 'M20 16H6M9.5 12.5L6 16l3.5 3.5'],
  'in': ['M18 6L7 17M7 9v8h8'],
  'out': ['M6 18L17 7M9 7h8v8'],
  'sealed': ['M6.5 11h11v8.5h-11z', 'M8.5 11V8a3.5 3.5 0 0 1 7 0v3'],
  'uploading': ['M12 19V8M7.5 12L12 7.5l4.5 4.5', 'M5 4.5h14'],
  'receipted': ['M6 3.5h12v17l-3-2-3 2-3-2-3 2z', 'M9 11l2.2 2.2L15.2 9'],
  'none': ['M7 12h10'],
  'check': ['M5 12.5l4.5 4.5L19 7.5'],
  'alert': ['M12 4.5L21 19.5H3z', 'M12 10v4.5', 'dot:12 17 .6'],
  'user': ['circle:12 8.5 3.8', 'M4.5 20a7.5 7.5 0 0 1 15 0'],
  'sign-out': ['M14 4.5H5.5v15H14', 'M10 12h10.5M17 8.5l3.5 3.5-3.5 3.5'],
  'signed-out': ['circle:12 12 8.5', 'M12 7v5'],
  'ready': ['circle:12 12 8.5', 'M8 12.3l2.8 2.8L16 9.5'],
  'ringing': ['M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5l1.5 1.5H5z', 'M10.5 20.5h3', 'M3 8a7 7 0 0 1 2.5-4M21 8a7 7 0 0 0-2.5-4'],
  'theme': ['circle:12 12 8', 'half:12 4a8 8 0 0 1 0 16z'],
  'headset': ['M4.5 15v-3a7.5 7.5 0 0 1 15 0v3', 'M4.5 14h3v5.5h-3zM16.5 14h3v5.5h-3z'],
  'ear': ['M4 10v4h3.5l4.5 4V6L7.5 10z', 'M15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11'],
  'close': ['M6 6l12 12M18 6L6 18'],
  'clock': ['circle:12 12 8.5', 'M12 7.5V12l3 2'],
};
const alias = { 'dialling': 'out', 'talking': 'answer', 'wrap-up': 'acw', 'offline': 'unlink' };

/** icon makes an icon; it says nothing to a screen reader. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  draw(svg, name);
  return svg;
}

/** redraw makes an icon another one. */
export function redraw(svg, name) {
  if (svg.dataset.icon !== name) draw(svg, name);
}

function draw(svg, name) {
  svg.dataset.icon = name;
  svg.replaceChildren(...(shapes[alias[name] || name] || []).map(shape));
}

function shape(s) {
  const [kind, rest] = s.includes(':') ? s.split(':') : ['path', s];
  if (kind === 'circle' || kind === 'dot') {
    const c = document.createElementNS(SVG, 'circle');
    const [cx, cy, r] = rest.split(' ');
    c.setAttribute('cx', cx);
    c.setAttribute('cy', cy);
    c.setAttribute('r', r);
    if (kind === 'dot') c.setAttribute('class', 'solid');
    return c;
  }
  const p = document.createElementNS(SVG, 'path');
  p.setAttribute('d', kind === 'half' ? 'M' + rest : rest);
  if (kind === 'half') p.setAttribute('class', 'solid');
  if (kind === 'turned') p.setAttribute('transform', 'rotate(-135 12 12) translate(0 1)');
  return p;
}
