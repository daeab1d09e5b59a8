// Keeps the form fresh: after each choice, and every ten seconds, it asks the hub for the same form
// as it is filled in now, and shows the new figures and free counts. Only the hub computes prices.
// The page works without it.

import { localise } from "./local-times.js";
import { morph } from "./morph.js";

const REFRESH = 10_000;
const form = document.getElementById("start");
let asking = null;

async function quote() {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  const body = new URLSearchParams(new FormData(form));
  body.set("step", "quote");
  try {
    const answer = await fetch(form.getAttribute("action"), {
      method: "POST", body, headers: { Accept: "text/html" }, signal: mine.signal,
    });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("start");
    if (mine.signal.aborted) return;
    if (!fresh) throw new Error("no form");
    show(fresh);
    tellOld(false);
  } catch {
    // The hub restarts, or the login has ended; the next round asks again.
    if (!mine.signal.aborted) tellOld(form.classList.contains("is-asking"));
  }
}

function show(fresh) {
  localise(fresh);
  for (const part of form.querySelectorAll("[data-live]")) {
    const wanted = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (wanted) morph(part, wanted);
  }
  for (const input of form.querySelectorAll('input[name="instance_type"]')) {
    const wanted = fresh.querySelector(`input[name="instance_type"][value="${CSS.escape(input.value)}"]`);
    if (!wanted) continue;
    // What is chosen stays chosen, so that a start can still be tried.
    input.disabled = wanted.disabled && !input.checked;
    input.closest("label").classList.remove("is-fail");
  }
  form.classList.remove("is-asking");
}

/** Say that the figures are of the choices before, so that nobody takes them for those of now. */
function tellOld(old) {
  const note = form.querySelector("[data-old]"); // a deployer's own template may have none
  if (note) note.hidden = !old;
}

function endTime() {
  const typed = form.elements.stop_at && form.elements.stop_at.value;
  const moment = typed ? new Date(typed) : null;
  return moment && !Number.isNaN(moment.getTime()) ? moment : null;
}

// The field holds no zone: what the hub sent was in UTC, what is typed is in the reader's.
function zone() {
  const typed = form.elements.stop_at;
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

function refresh() {
  if (document.visibilityState === "visible") quote();
}

if (form && form.elements.utc_offset) {
  zone();
  form.addEventListener("change", () => {
    offset();
    form.classList.add("is-asking");
    quote();
  });
  const image = form.elements.image;
  if (image) {
    image.addEventListener("input", () => {
      if (image.value) form.querySelector('input[name="runtime"][value="custom"]').checked = true;
    });
  }
  setInterval(refresh, REFRESH);
  document.addEventListener("visibilitychange", refresh);
}
