/* Tells the server that a person works here: after real keyboard or pointer input, at most once a minute. */

const EVERY_SECONDS = 60;
const INPUTS = ['keydown', 'pointerdown', 'wheel'];

/** Call `tell` at the first input, and once a minute while there is more. */
export function watchPerson(tell) {
  let waiting = false;
  let again = false;
  const seen = event => {
    // A script's own events are no person.
    if (!event.isTrusted) {
      return;
    }
    if (waiting) {
      again = true;
      return;
    }
    waiting = true;
    tell();
    setTimeout(() => {
      waiting = false;
      if (again) {
        again = false;
        seen(event);
      }
    }, EVERY_SECONDS * 1000);
  };
  for (const input of INPUTS) {
    window.addEventListener(input, seen, { capture: true, passive: true });
  }
}
