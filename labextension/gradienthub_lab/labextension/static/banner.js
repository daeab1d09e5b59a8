/* The warning before a stop: not modal, takes no focus, dismissed once per level. */

import { button, make, once, setText } from './page.js';
import { clockTime, duration, extendText, secondsTo, silenceText } from './rules.js';

export class Banner {
  /** @param actions `{extend(), saveAll()}`, each a promise of the sentence to show */
  constructor(actions) {
    this._dismissed = new Set();
    this._key = null;
    this._said = make('p', { className: 'gh-Banner-said' });
    this._said.setAttribute('role', 'alert');
    // Not in the alert: a screen reader would read every second of it.
    this._left = make('span', { className: 'gh-Banner-left' });
    this._left.setAttribute('role', 'timer');
    this._outcome = make('p', { className: 'gh-Banner-outcome' });
    this._outcome.setAttribute('role', 'status');
    this._extend = button('Extend', () => this._do(this._extend, actions.extend), 'jp-mod-accept');
    this._save = button('Save all', () => this._do(this._save, actions.saveAll), 'jp-mod-reject');
    const close = button('×', () => this._dismiss(), 'gh-Banner-close', 'jp-mod-minimal');
    close.setAttribute('aria-label', 'Dismiss this warning');
    this.node = make(
      'section',
      { className: 'gh-Banner', hidden: true },
      make('div', { className: 'gh-Banner-text' }, this._said, this._outcome),
      make('div', { className: 'gh-Banner-actions' }, this._left, this._extend, this._save, close)
    );
    this.node.setAttribute('aria-label', 'This notebook is about to stop');
    this.node.addEventListener('keydown', event => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        this._dismiss();
      }
    });
  }

  /** Show what `notice` (of rules.js, or null) is about; returns whether the banner is visible. `since`: the hub is silent since then. */
  show(notice, lease, now, since) {
    if (notice?.key !== this._key) {
      this._key = notice?.key ?? null;
      setText(this._outcome, '');
    }
    this.node.hidden = !notice || this._dismissed.has(notice.key);
    if (this.node.hidden) {
      setText(this._said, '');
      return false;
    }
    this.node.classList.toggle('gh-mod-last', notice.last);
    const left = secondsTo(notice.stopsAt, now);
    const at = clockTime(notice.stopsAt, now);
    if (since !== null) {
      setText(this._said, `There is ${silenceText(since, now)}. By then this notebook was to stop at ${at}. ${notice.why}`);
      setText(this._left, '');
    } else {
      setText(this._said, `This notebook stops at ${at}. ${notice.why}`);
      setText(this._left, left > 0 ? `${duration(left)} left` : 'stopping');
    }
    setText(this._extend, extendText(lease.extend, now));
    return true;
  }

  /** Say how something went, to be read aloud when convenient. */
  tell(sentence) {
    setText(this._outcome, sentence);
  }

  _do(pressed, action) {
    return once(pressed, async () => this.tell(await action()));
  }

  _dismiss() {
    this._dismissed.add(this._key);
    this.node.hidden = true;
  }
}
