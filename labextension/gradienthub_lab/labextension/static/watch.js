/* Follows the lease: asks, remembers the last answer and the hub's clock, and saves everything once before each stop. */

import { askAgainIn, clockTime, savedText, stopIsNear } from './rules.js';

export class Watch {
  /** @param server a Server; @param documents Documents; @param drawn called with the watch after each answer and each second */
  constructor(server, documents, { changed, tell }) {
    this._server = server;
    this._documents = documents;
    this._changed = changed;
    this._tell = tell;
    this._failures = 0;
    this._savedFor = null;
    /** The hub's last answer, or null while there is no lease to show. */
    this.lease = null;
    /** Since when the hub is silent (by its own clock, in milliseconds), or null: price and time are of then. */
    this.silentSince = null;
  }

  /** The hub's clock, in milliseconds: the browser's own may be wrong by hours. */
  get now() {
    return Date.now() + (this._ahead ?? 0);
  }

  start() {
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this._timer) {
        this._askIn(0);
      }
    });
    setInterval(() => this._second(), 1000);
    this._askIn(0);
  }

  /** Ask the hub for a later stop; the sentence to show. */
  async extend() {
    let answer;
    try {
      answer = await this._server.extend();
    } catch {
      return 'The notebook server does not answer. Save your work and try again.';
    }
    if (answer.status >= 400 || !answer.body) {
      const { message, hint } = answer.body ?? {};
      return [message ?? 'The hub did not extend.', hint].filter(Boolean).join(' ');
    }
    await this._ask();
    const until = this.lease?.stops_at;
    return until ? `Extended: stops at ${clockTime(until, this.now)} at the earliest.` : 'Extended.';
  }

  /** Save everything; the sentence to show. */
  async saveAll() {
    return savedText(await this._documents.saveAll());
  }

  async _ask() {
    clearTimeout(this._timer);
    let answer = null;
    try {
      answer = await this._server.lease();
    } catch {
      // The server is away: told by JupyterLab itself, loudly enough.
    }
    const body = answer?.body;
    if (answer?.status === 404 && !body) {
      // Not ours: no JupyterHub started this server, so there is nothing to ask for as long as it runs.
      this._timer = null;
      return;
    }
    if (answer?.status === 200 && body) {
      this.lease = body;
      this.silentSince = null;
      this._failures = 0;
      this._ahead = Date.parse(body.now) - Date.now();
    } else {
      this._failures += 1;
      this.silentSince ??= Date.parse(this.lease?.now) || this.now;
      if (answer?.status === 404) {
        this.lease = null;
      }
    }
    this._second();
    this._askIn(askAgainIn(this.lease, this.now, document.hidden, this._failures));
  }

  _askIn(seconds) {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._ask(), seconds * 1000);
  }

  _second() {
    this._changed(this);
    if (stopIsNear(this.lease, this.now) && this._savedFor !== this.lease.stops_at) {
      // Once per stop: a stop that Extend moved is another one.
      this._savedFor = this.lease.stops_at;
      this.saveAll().then(this._tell);
    }
  }
}
