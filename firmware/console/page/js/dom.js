// Small helpers to build nodes once and change them in place, so that focus,
// pointers and the phase of lamps survive an update.

/** h('div', {class: 'x', onclick: f}, child, 'text') makes a node. */
export function h(tag, attrs = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    if (name.startsWith('on')) el.addEventListener(name.slice(2), value);
    else attr(el, name, value);
  }
  el.append(...children.flat().filter((c) => c != null));
  return el;
}

/** attr sets, or with null, undefined or false removes. */
export function attr(el, name, value) {
  if (value == null || value === false) {
    if (el.hasAttribute(name)) el.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : String(value);
  if (el.getAttribute(name) !== text) el.setAttribute(name, text);
}

/** text changes a node's text only if it differs: screen readers stay calm. */
export function text(el, value) {
  if (el.textContent !== value) el.textContent = value;
}

/** show hides or shows. */
export function show(el, on) {
  if (el.hidden === on) el.hidden = !on;
}
