/*
 * What to show, when to ask again and when to save: functions of the lease (the hub's answer) and of `now`, the hub's clock in
 * milliseconds. Nothing here reads a clock or a page.
 */

/** Seconds to the stop below which everything is saved. A hidden tab may be woken only once a minute, so it must be more than 60. */
export const SAVE_SECONDS = 90;

const ASK_SECONDS = 15;
const ASK_WARNED_SECONDS = 5;
const ASK_HIDDEN_SECONDS = 60;
const ASK_AT_MOST_SECONDS = 300;

/** Seconds until `moment` (ISO 8601), never negative; null without one. */
export function secondsTo(moment, now) {
  return moment ? Math.max(0, (Date.parse(moment) - now) / 1000) : null;
}

/** "2 h 5 min", "42 min", "50 s": rounded down, as nobody is to be promised time that is not there. */
export function duration(seconds) {
  if (seconds < 60) {
    return `${Math.floor(seconds)} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
}

/** "17:20" in the reader's zone and manner, with the day if that is not today. */
export function clockTime(moment, now) {
  const at = new Date(moment);
  const sameDay = at.toDateString() === new Date(now).toDateString();
  const day = sameDay ? {} : { weekday: 'short' };
  return at.toLocaleString(undefined, { ...day, hour: '2-digit', minute: '2-digit' });
}

/** What is said while the hub is silent since `since` (milliseconds); what else is shown is of then. */
export function silenceText(since, now) {
  return `no word from the hub since ${clockTime(since, now)}`;
}

/**
 * What the status bar says: "P5000 · $0.78/h · stops in 42 min: idle". While the hub is silent since `since` nothing is counted down:
 * who knows whether that stop still holds.
 */
export function statusText(lease, now, since = null) {
  // An older hub sends no title, and no short word for the reason.
  const parts = [lease.machine_title ?? lease.instance_type, lease.price_text];
  if (since !== null) {
    return [...parts, silenceText(since, now)].join(' · ');
  }
  const left = secondsTo(lease.stops_at, now);
  if (left !== null) {
    parts.push(`stops in ${duration(left)}${lease.stop_short ? `: ${lease.stop_short}` : ''}`);
  } else if (lease.keeps_alive?.length) {
    const more = lease.keeps_alive.length - 1;
    parts.push(`kept by ${lease.keeps_alive[0]}${more ? ` and ${more} more` : ''}`);
  } else {
    parts.push('does not stop by itself');
  }
  return parts.join(' · ');
}

/** Whether everything is to be saved now, whatever the reason of the stop. */
export function stopIsNear(lease, now) {
  const left = secondsTo(lease?.stops_at, now);
  return left !== null && left <= SAVE_SECONDS;
}

/**
 * What the banner is about, or null: the hub's warning, or a stop that is near though nobody warned of it. `key` is one per stop and
 * level: what was dismissed stays so until the next level, or until the stop is another.
 */
export function notice(lease, now) {
  const warning = lease?.warning;
  const near = stopIsNear(lease, now);
  if (!warning && !near) {
    return null;
  }
  const stopsAt = warning?.stops_at ?? lease.stops_at;
  const level = warning?.minutes ?? 1;
  return { key: `${stopsAt} ${level}`, stopsAt, why: warning?.why ?? lease.stop_why, last: near || level <= 1 };
}

/** Seconds until the hub is asked again. `failures` in a row back off; a warning is followed closely, hidden tab or not. */
export function askAgainIn(lease, now, hidden, failures) {
  const usual = notice(lease, now) ? ASK_WARNED_SECONDS : hidden ? ASK_HIDDEN_SECONDS : ASK_SECONDS;
  return Math.min(usual * 2 ** Math.min(failures, 8), ASK_AT_MOST_SECONDS);
}

/** What the Extend button says: until when, and what that costs at most. */
export function extendText(extend, now) {
  if (!extend?.until) {
    return 'Extend';
  }
  const cost = extend.cost_text ? ` (at most ${extend.cost_text})` : '';
  return `Extend until ${clockTime(extend.until, now)}${cost}`;
}

/** "Saved a.ipynb and b.py.", and which could not be and why. */
export function savedText({ saved, failed }) {
  const parts = [];
  if (saved.length) {
    parts.push(`Saved ${listed(saved)}.`);
  }
  if (failed.length) {
    parts.push(`Could not save ${listed(failed.map(({ path, why }) => `${path} (${why})`))}.`);
  }
  return parts.join(' ') || 'Everything is saved.';
}

function listed(names) {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
