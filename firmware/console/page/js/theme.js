// Light, dark, or as the system says.

const all = ['auto', 'light', 'dark'];

export function current() {
  const t = localStorage.getItem('theme');
  return all.includes(t) ? t : 'auto';
}

export function apply() { document.documentElement.dataset.theme = current(); }

export function next() {
  localStorage.setItem('theme', all[(all.indexOf(current()) + 1) % all.length]);
  apply();
  return current();
}
