// Keeps the list of notebooks fresh: fetches the page, changes what changed, counts seconds down.

import { localise } from "./local-times.js";
import { morph } from "./morph.js";

const EVERY = 5000;
const EVERY_HIDDEN = 15000;
const SLOWEST = 60000;
const live = document.getElementById("live");
const news = document.getElementById("news");
const away = document.getElementById("away");

let failures = 0;
let timer;
// What the server's clock is ahead of this one.
let ahead = new Date(live.dataset.now) - Date.now();

function countdown(until) {
  const left = Math.max(0, Math.round((until - Date.now() - ahead) / 1000));
  const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

function tick(root) {
  for (const element of root.querySelectorAll("[data-until]")) {
    const text = countdown(new Date(element.dataset.until));
    if (element.textContent !== text) element.textContent = text;
  }
}

/** Count nothing down while the hub is silent: who knows whether those stops still hold. The next answer puts them back. */
function standStill() {
  for (const element of live.querySelectorAll("[data-until]")) {
    element.parentElement.replaceChildren("As of ", live.querySelector("#running time").cloneNode(true));
  }
}

function states(root) {
  return new Map([...root.querySelectorAll("article")].map((one) => [one.id, one.dataset.state]));
}

function show(fresh) {
  ahead = new Date(fresh.dataset.now) - Date.now();
  localise(fresh);
  tick(fresh);
  const before = states(live);
  const said = [...fresh.querySelectorAll("article")]
    .filter((one) => before.get(one.id) !== one.dataset.state)
    .map((one) => one.dataset.news);
  const focus = document.activeElement;
  morph(live, fresh);
  // An article that moved to the other list took its focus out of the page for a moment.
  if (focus?.id && document.activeElement !== focus) document.getElementById(focus.id)?.focus();
  if (said.length) news.textContent = said.join(" ");
}

async function refresh() {
  try {
    const response = await fetch(live.dataset.url, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("live");
    // Logged out, or another page by now: what it says is for the reader.
    if (response.ok && !fresh) return location.reload();
    if (!fresh) throw new Error(response.status);
    show(fresh);
    failures = 0;
    away.hidden = true;
  } catch {
    failures += 1;
    if (away.hidden && failures > 1) {
      away.querySelector("time").replaceWith(live.querySelector("#running time").cloneNode(true));
      away.hidden = false;
      standStill();
      news.textContent = "The hub does not answer.";
    }
  }
  later();
}

function later() {
  clearTimeout(timer);
  const usual = document.hidden ? EVERY_HIDDEN : EVERY;
  timer = setTimeout(refresh, Math.min(SLOWEST, usual * 2 ** failures));
}

document.addEventListener("visibilitychange", () => (document.hidden ? later() : refresh()));
setInterval(() => tick(live), 1000);
later();
