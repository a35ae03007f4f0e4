// Every sentence of the page stands in /i18n/<language>.json, by key.

export const languages = ['zh-CN', 'en'];

const books = {};
let current = 'zh-CN';

/** load fetches both languages: a switch is then at once. */
export async function load() {
  await Promise.all(languages.map(async (l) => {
    books[l] = await (await fetch(`/i18n/${l}.json`)).json();
  }));
}

export function lang() { return current; }

/** use switches; true if that changed anything. */
export function use(l) {
  const next = languages.includes(l) ? l : 'zh-CN';
  document.documentElement.lang = next;
  if (next === current) return false;
  current = next;
  return true;
}

/** has tells whether there is such a sentence. */
export function has(key) { return key in books[current]; }

/** t is the sentence, with {name} filled from params. */
export function t(key, params = {}) {
  const s = books[current][key] ?? key;
  return s.replace(/\{(\w+)\}/g, (_, name) => String(params[name] ?? ''));
}
