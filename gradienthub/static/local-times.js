// Shows every <time> in the reader's zone; without script they are in UTC and say so.

const zone = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" })
  .formatToParts(new Date())
  .find((part) => part.type === "timeZoneName").value;

/** A moment for people: the clock alone where it is today. */
export function local(moment, withSeconds = false) {
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short" };
  if (withSeconds) clock.second = "2-digit";
  if (moment.toDateString() !== new Date().toDateString()) {
    Object.assign(clock, { weekday: "short", day: "numeric", month: "short" });
  }
  return new Intl.DateTimeFormat(undefined, clock).format(moment);
}

/** A <time> element for a moment. */
export function timeElement(moment, withSeconds = false) {
  const element = document.createElement("time");
  element.dateTime = moment.toISOString();
  if (withSeconds) element.dataset.seconds = "";
  element.textContent = local(moment, withSeconds);
  return element;
}

/** Shows every moment below `root` in the reader's zone. */
export function localise(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.title = element.textContent;
    element.textContent = local(moment, "seconds" in element.dataset);
  }
  for (const element of root.querySelectorAll("[data-zone]")) element.textContent = zone;
}

localise(document);
