/* What the panel behind the status item shows. */

import { button, make, once, setText } from './page.js';
import { clockTime, duration, extendText, secondsTo, silenceText } from './rules.js';

export class Details {
  /** @param extend a function that returns a promise of the sentence to show */
  constructor(extend) {
    this._list = make('dl', {});
    this._outcome = make('p', { className: 'gh-Details-outcome' });
    this._outcome.setAttribute('role', 'status');
    this._extend = button('Extend', () => this._do(extend), 'jp-mod-accept');
    this.node = make('div', { className: 'gh-Details' }, this._list, this._extend, this._outcome);
  }

  /** Draw the lease as of now, or as of `since` where the hub is silent since then. */
  show(lease, now, since) {
    const rows = rowsOf(lease, now, since);
    const drawn = JSON.stringify(rows);
    if (drawn !== this._drawn) {
      this._drawn = drawn;
      this._list.replaceChildren(...rows.flatMap(([name, text]) => [make('dt', {}, name), make('dd', {}, text)]));
    }
    const refused = lease.extend?.refused;
    this._extend.hidden = !lease.extend?.until;
    setText(this._extend, extendText(lease.extend, now));
    if (refused && !this._outcome.textContent) {
      setText(this._outcome, `Extend is not possible: ${refused.message} ${refused.hint ?? ''}`.trim());
    }
  }

  /** Forget how the last Extend went: the panel is opened anew. */
  open() {
    setText(this._outcome, '');
  }

  _do(extend) {
    return once(this._extend, async () => setText(this._outcome, await extend()));
  }
}

/** Pairs of name and text. */
function rowsOf(lease, now, since) {
  const rows = since === null ? [] : [['Of then', `There is ${silenceText(since, now)}.`]];
  rows.push(
    ['Notebook', lease.notebook],
    ['Machine', lease.machine],
    ['Price', lease.price_text],
    ['Cost so far', lease.cost_text]
  );
  if (lease.stops_at) {
    const left = since === null ? `, in ${duration(secondsTo(lease.stops_at, now))}` : '';
    rows.push(['Stops', `${clockTime(lease.stops_at, now)}${left}`]);
  }
  if (lease.stop_why) {
    rows.push([lease.stops_at ? 'Because' : 'Auto-shutdown', lease.stop_why]);
  }
  if (lease.keeps_alive?.length) {
    rows.push(['Kept alive by', lease.keeps_alive.join(', ')]);
  }
  return rows;
}
