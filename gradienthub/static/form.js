// Keeps the form fresh: figures when a choice changes, what is free every ten seconds, and the
// zone of the end time. The page works without it.

import { charge, duration, rounded } from "./figures.js";
import { timeElement } from "./local-times.js";

const REFRESH = 10_000;
const form = document.getElementById("start");
const field = (name) => form.querySelector(`input[name="${name}"]:checked`);
const money = (micros) => rounded(micros, form.dataset.prefix, form.dataset.suffix);

function out(name, text) {
  for (const element of form.querySelectorAll(`[data-out="${name}"]`)) {
    if (element.textContent !== text) element.textContent = text;
    if (name === "unpaid") element.hidden = !text;
  }
}

function outMoment(name, before, moment) {
  for (const element of form.querySelectorAll(`[data-out="${name}"]`)) {
    element.replaceChildren(...(moment ? [before, timeElement(moment)] : []));
  }
}

function figures() {
  const machine = field("instance_type");
  if (!machine || !form.querySelector('[data-out="price"]')) return;
  const price = machine.dataset.price;
  const priceText = machine.dataset.priceText;
  const free = price === "0";
  const now = Date.now();
  for (const choice of form.querySelectorAll('input[name="shutdown_after"][data-seconds]')) {
    choice.parentElement.querySelector("[data-cost]").textContent =
      money(charge(price, Number(choice.dataset.seconds) * 1000));
  }

  const stopAt = endTime();
  const session = machine.dataset.session ? now + Number(machine.dataset.session) * 1000 : Infinity;
  const paid = machine.dataset.paidSeconds;
  const moneyEnds = paid === undefined ? Infinity : now + Number(paid) * 1000;
  const endsBy = Math.min(session, moneyEnds, stopAt && stopAt > now ? stopAt.getTime() : Infinity);
  const hard = Number.isFinite(endsBy);
  const most = hard ? money(charge(price, endsBy - now)) : free ? money(0n) : "No upper limit";
  const mostNote = hard
    ? endsBy === moneyEnds ? "your money ends then"
    : endsBy === session ? `session limit of ${duration(machine.dataset.session)}` : "the end time you chose"
    : free ? "it costs nothing" : `while it is in use, ${priceText}`;

  const interval = field("shutdown_after");
  const seconds = interval && interval.dataset.seconds ? Number(interval.dataset.seconds) : 0;
  const idleStop = seconds ? Math.min(now + seconds * 1000, endsBy) : null;
  let away = most;
  let awayNote = "nothing stops it when idle";
  let awayMoment = hard ? endsBy : null;
  if (seconds) {
    away = money(charge(price, idleStop - now));
    awayNote = idleStop === endsBy ? mostNote : `${duration(seconds)} × ${priceText}`;
    awayMoment = idleStop;
  } else if (!interval && form.querySelector('input[name="shutdown_after"][required]')) {
    away = "–";
    awayNote = "choose when it stops";
    awayMoment = null;
  }

  // Known where it is idle for a chosen time, or ends in any case; else nobody can say.
  const spent = seconds ? idleStop : hard ? endsBy : null;
  out("unpaid", machine.dataset.unpaid);
  if (form.dataset.available) funds(price, spent === null ? null : spent - now);
  out("title", machine.dataset.title);
  out("price", priceText);
  out("away", away);
  out("away-note", awayNote);
  outMoment("away-moment", ", stops at ", awayMoment === null ? null : new Date(awayMoment));
  out("most", most);
  out("most-note", mostNote);
  outMoment("most-moment", ", ends at ", hard ? new Date(endsBy) : null);
}

function funds(price, milliseconds) {
  const available = BigInt(form.dataset.available);
  const known = milliseconds !== null && price !== "0";
  const left = known ? available - charge(price, milliseconds) : 0n;
  out("funds", `${money(available)} left`);
  out("funds-note", known ? `${money(left > 0n ? left : 0n)} if you walk away now` : "");
}

function endTime() {
  const typed = form.elements.stop_at && form.elements.stop_at.value;
  const moment = typed ? new Date(typed) : null;
  return moment && !Number.isNaN(moment.getTime()) ? moment : null;
}

// The field holds no zone: what the hub sent was in UTC, what is typed is in the reader's.
function zone() {
  const typed = form.elements.stop_at;
  if (!typed) return;
  if (typed.dataset.utc) {
    const moment = new Date(typed.dataset.utc);
    const shifted = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
    typed.value = shifted.toISOString().slice(0, 16);
  }
  offset();
}

function offset() {
  const moment = endTime() || new Date();
  form.elements.utc_offset.value = String(-moment.getTimezoneOffset());
}

async function refresh() {
  if (document.visibilityState !== "visible") return;
  let answer;
  try {
    const response = await fetch(form.dataset.availability, {
      headers: { "X-XSRFToken": form.dataset.xsrf, Accept: "application/json" },
    });
    if (!response.ok) return;
    answer = await response.json();
  } catch {
    return; // the hub restarts; the next round asks again
  }
  for (const card of form.querySelectorAll("[data-type]")) {
    const now = answer.types[card.dataset.type];
    if (now) show(card, now);
  }
  const asOf = form.querySelector("time[data-seconds]");
  if (asOf) {
    asOf.replaceWith(timeElement(new Date(answer.as_of), true));
  }
}

function show(card, now) {
  const input = card.querySelector("input");
  const line = card.querySelector("[data-availability]");
  const text = line.querySelector("span");
  const parts = [now.note];
  if (now.next_free) {
    parts.push(" The next is free by ", timeElement(new Date(now.next_free)), " at the latest.");
  }
  text.replaceChildren(...parts);
  // What is chosen stays chosen, so that a start can still be tried.
  input.disabled = now.state !== "free" && !input.checked;
  line.classList.remove("is-run", "is-off", "is-fail");
  line.classList.add(now.state === "free" ? "is-run" : "is-off");
  card.classList.remove("is-fail");
  const shape = { free: "run", locked: "lock", none: "stop" }[now.state];
  line.querySelector("use").setAttribute("href", `#i-${shape}`);
}

if (form && form.elements.utc_offset) {
  zone();
  figures();
  form.addEventListener("change", () => {
    offset();
    figures();
  });
  const image = form.elements.image;
  if (image) {
    image.addEventListener("input", () => {
      if (image.value) form.querySelector('input[name="runtime"][value="custom"]').checked = true;
    });
  }
  setInterval(figures, 30_000);
  setInterval(refresh, REFRESH);
  document.addEventListener("visibilitychange", refresh);
}
