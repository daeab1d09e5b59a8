// Keeps a part of a page fresh: fetches the page again and makes the part like the new one. Focus,
// typed text and open menus stay where they are.

import { localise } from "./local-times.js";
import { morph } from "./morph.js";

const live = document.getElementById("live");
const seconds = Number(live?.dataset.refresh) || 15;
let failures = 0;
let heard = new Date();
const silence = document.createElement("p");
silence.className = "gh-note is-warn";
silence.setAttribute("role", "status");

/** Say since when nobody answers, so that nobody takes what is old for what is so. */
function tellSilence() {
  const at = heard.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  silence.textContent = `There was no answer since ${at}. This page shows what was so then, and asks again by itself.`;
  if (!silence.isConnected) live.before(silence);
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("live");
  if (!fresh) return;
  localise(fresh);
  morph(live, fresh);
  heard = new Date();
  silence.remove();
}

async function loop() {
  try {
    await refresh();
    failures = 0;
  } catch {
    failures = Math.min(failures + 1, 5);
    if (failures > 1) tellSilence();
  }
  setTimeout(loop, seconds * 1000 * 2 ** failures);
}

if (live) setTimeout(loop, seconds * 1000);
