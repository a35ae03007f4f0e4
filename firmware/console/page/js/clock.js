// Time as the seat has it: the PC's clock may be wrong, the seat's `now` comes
// with each view.

let offset = 0;

export function sync(now) { offset = Date.parse(now) - Date.now(); }

/** since is whole seconds since a time of the seat, not below 0. */
export function since(at) { return Math.max(0, Math.floor((Date.now() + offset - Date.parse(at)) / 1000)); }

/** left is whole seconds until a time of the seat, begun ones counted. */
export function left(until) { return Math.max(0, Math.ceil((Date.parse(until) - Date.now() - offset) / 1000)); }

/** span is 0:07, 12:34 or 1:02:03. */
export function span(seconds) {
  const s = Math.floor(seconds % 60), m = Math.floor(seconds / 60) % 60, hours = Math.floor(seconds / 3600);
  const two = (n) => String(n).padStart(2, '0');
  return hours ? `${hours}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function timeOfDay(at, lang) {
  return new Date(at).toLocaleTimeString(lang, { hour: '2-digit', minute: '2-digit', hour12: false });
}

/** date leaves this year's number out. */
export function date(at, lang) {
  const other = new Date(at).getFullYear() !== new Date(Date.now() + offset).getFullYear();
  return new Date(at).toLocaleDateString(lang === 'en' ? 'en-GB' : lang, { year: other ? 'numeric' : undefined, month: 'short', day: 'numeric' });
}
