// The seat's API: pairing by fetch, everything else over one WebSocket.

/** Refusal is an error that the seat or this page has words for. */
export class Refusal extends Error {
  constructor(code, text = '') {
    super(text || code);
    this.code = code;
    this.text = text;
  }
}

async function call(method, path) {
  let answer;
  try {
    const response = await fetch(path, { method, cache: 'no-store', credentials: 'same-origin' });
    answer = await response.json();
    if (response.ok) return answer;
  } catch {
    throw new Refusal('lost');
  }
  throw new Refusal(answer.error?.code ?? 'failed', answer.error?.text);
}

export const pairing = {
  state: () => call('GET', '/api/pair'),
  start: () => call('POST', '/api/pair'),
  claim: () => call('POST', '/api/pair/claim'),
  end: () => call('DELETE', '/api/pair'),
};

/**
 * Line is the WebSocket. It calls onview(message), onlevels(message),
 * onlost() when the seat cannot be reached (it tries again by itself), and
 * onbye(reason) when the pairing has ended (it does not).
 */
export class Line {
  #socket = null;
  #waiting = new Map();
  #next = 1;
  #tries = 0;
  #timer = 0;
  #closed = false;

  constructor(handlers) {
    this.on = handlers;
    this.#open();
  }

  #open() {
    const socket = new WebSocket(`wss://${location.host}/api/ws`);
    this.#socket = socket;
    socket.onmessage = (e) => this.#take(JSON.parse(e.data));
    socket.onclose = (e) => this.#lost(e);
  }

  #take(m) {
    if (this.#closed) return;
    switch (m.type) {
      case 'view':
        this.#tries = 0;
        this.on.onview(m);
        break;
      case 'levels':
        this.on.onlevels(m);
        break;
      case 'reply': {
        const wait = this.#waiting.get(m.id);
        this.#waiting.delete(m.id);
        if (m.error) wait?.reject(new Refusal(m.error.code, m.error.text));
        else wait?.resolve();
        break;
      }
      case 'bye':
        this.#bye(m.reason);
    }
  }

  async #lost(event) {
    for (const wait of this.#waiting.values()) wait.reject(new Refusal('lost'));
    this.#waiting.clear();
    if (this.#closed) return;
    if (event.code === 4001) return this.#bye(event.reason);
    this.on.onlost();
    // A refused handshake looks like a broken line: ask which it was.
    try {
      const { state } = await pairing.state();
      if (state !== 'paired') return this.#bye('expired');
    } catch { /* not reachable: try again below */ }
    if (this.#closed) return;
    const wait = Math.min(5000, 250 * 2 ** this.#tries++) * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#open(), wait);
  }

  #bye(reason) {
    if (this.#closed) return;
    this.#waiting.clear(); // nobody is left to hear of a refusal
    this.close();
    this.on.onbye(reason);
  }

  /** act asks the seat for one thing; it throws a Refusal. */
  act(action) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Refusal('lost'));
    const id = String(this.#next++);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, ...action }));
    });
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }
}
