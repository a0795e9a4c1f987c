/** Tries until it works, and shows meanwhile what is wrong. */

import { announce } from "./announce.js";
import { ApiError, NetworkError } from "./api.js";
import { el, fill } from "./element.js";
import { askForKey } from "./key.js";
import { growing, pause } from "./run/pauses.js";

/**
 * Do something that needs the bridge. What may pass by itself is tried again, with growing pauses; what a person must
 * change is told, with a button.
 *
 * @template T
 * @param {() => Promise<T>} task
 * @param {HTMLElement} place shows the state; empty in the end.
 * @param {string} doing what to say while it goes well, such as "Loading…".
 * @returns {Promise<T>}
 */
export async function untilItWorks(task, place, doing) {
  fill(place, el("p", { class: "state is-quiet", text: doing }));
  for (let failures = 1; ; failures++) {
    try {
      const result = await task();
      if (failures > 1) announce("It works again.");
      fill(place);
      return result;
    } catch (error) {
      await afterError(error, failures, place);
    }
  }
}

/**
 * Whether an error may be gone at the next try.
 *
 * @param {unknown} error
 * @returns {boolean}
 */
function mayPass(error) {
  if (error instanceof NetworkError) return true;
  return error instanceof ApiError && (error.type === "" || error.status === 429 || error.status > 500);
}

/** @param {unknown} error @param {number} failures @param {HTMLElement} place */
async function afterError(error, failures, place) {
  const sentence = error instanceof Error ? error.message : String(error);
  if (error instanceof ApiError && error.status === 401) {
    const title = "This bridge wants an API key";
    await show(place, { title, sentence: "The page shows what the key may do.", button: "Enter a key" });
    await askForKey();
  } else if (mayPass(error)) {
    const title = error instanceof NetworkError ? "The bridge does not answer" : "The bridge is not ready";
    const more = error instanceof NetworkError ? "" : `${sentence} `;
    const shown = show(place, { title, sentence: `${more}The page tries again by itself.`, button: "Try now" });
    const seconds = (error instanceof ApiError && error.retryAfter) || growing(failures);
    await Promise.race([shown, pause(seconds, { untilOnline: true })]);
  } else {
    await show(place, { title: "That did not work", sentence, button: "Try again" });
  }
}

/**
 * @param {HTMLElement} place
 * @param {{title: string, sentence: string, button: string}} what
 * @returns {Promise<void>} until the button is pressed.
 */
function show(place, { title, sentence, button }) {
  return new Promise((resolve) => {
    const pressed = el("button", { type: "button", class: "primary", text: button, on: { click: () => resolve() } });
    const hadFocus = place.contains(document.activeElement);
    if (place.textContent !== `${title}${sentence}${button}`) announce(`${title}. ${sentence}`);
    fill(place, el("section", { class: "state" }, el("h2", { text: title }), el("p", { text: sentence }), pressed));
    if (hadFocus) pressed.focus();
  });
}
