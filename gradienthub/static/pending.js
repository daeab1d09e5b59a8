// Follows a start: phases and elapsed time each second; on to the notebook as soon as it answers.

const EVERY = 1000;
const list = document.getElementById("steps");
const elapsed = document.querySelector("[data-elapsed]");
const LOOKS = {
  done: ["run", "check", "Done:"],
  now: ["start", "start", "Now:"],
  todo: ["off", "todo", "To do:"],
  failed: ["fail", "fail", "Failed:"],
};

function show(start) {
  start.phases.forEach((phase, index) => {
    const item = list.querySelector(`[data-phase="${phase.name}"]`);
    const [tone, shape, word] = LOOKS[phase.state];
    const mark = item.querySelector(".gh-tone");
    mark.className = `gh-tone is-${tone}`;
    mark.querySelector("use").setAttribute("href", `#i-${shape}`);
    mark.querySelector("svg").setAttribute("aria-label", word);
    item.querySelector("[data-detail]").textContent = phase.detail;
    item.querySelector("[data-seconds-of]").textContent =
      phase.seconds === null ? "" : `${phase.seconds.toFixed(1)} s`;
    if (phase.state !== "now") {
      item.removeAttribute("aria-current");
      return;
    }
    item.setAttribute("aria-current", "step");
    const title = `Phase ${index + 1} of ${start.phases.length}: ${phase.title.toLowerCase()}`;
    const heading = document.getElementById("phases");
    if (heading.textContent.trim() !== title) heading.textContent = title;
  });
  if (elapsed) elapsed.textContent = `${Math.round(start.elapsed)} s`;
}

async function follow() {
  let heard = false;
  try {
    // Answered after a second, and at once when the start ends.
    const response = await fetch(`${list.dataset.start}?wait=${EVERY / 1000}`, {
      headers: { "X-XSRFToken": list.dataset.xsrf, Accept: "application/json" },
    });
    if (response.status === 404) return location.reload();
    heard = response.ok;
    if (heard) {
      const start = await response.json();
      // The page itself knows where to go, and has the words of a failure.
      if (start.ready || start.failed || start.pending !== "spawn") return location.reload();
      show(start);
    }
  } catch {
    // the hub restarts: ask again
  }
  setTimeout(follow, heard ? EVERY / 20 : EVERY);
}

if (list && list.dataset.start) follow();
else setTimeout(() => location.reload(), 2 * EVERY);
