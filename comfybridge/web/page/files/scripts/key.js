/** The API key: asked for where the bridge wants one, and kept in this tab only. */

import { el } from "./element.js";

const OURS = "comfybridge.";
const PLACE = `${OURS}key`;
const WANTED = "This bridge wants an API key.";
const UNKNOWN = "The key is not known to this bridge.";
const USED_IN_KEYS = /^[\x21-\x7e]+$/; // others cannot be sent in a header

/** @type {string | null} */
let key = stored();
/** @type {Promise<boolean> | null} */
let question = null;
let isRefused = false;

/** Fires "change" when the key is another, or a person has refused to give one. */
export const keyEvents = new EventTarget();

/** @returns {string | null} */
export function currentKey() {
  return key;
}

/**
 * Ask for a key, once for all calls that the bridge has refused.
 *
 * @param {string | null} refused the key that was sent; null if none was.
 * @param {AbortSignal} [signal] of the call: ends its wait, not the question.
 * @returns {Promise<boolean>} whether there is another key to try. false at once if a person has refused, until
 *   the next click: what the page does by itself must not ask again and again.
 */
export async function obtainKey(refused, signal) {
  if (key !== refused) return true; // it came while the call was on its way
  if (isRefused) return false;
  const answer = askForKey(refused === null ? WANTED : UNKNOWN);
  if (!signal) return answer;
  return Promise.race([answer, new Promise((resolve) => signal.addEventListener("abort", () => resolve(false)))]);
}

/**
 * Ask for a key.
 *
 * @param {string} [reason] a sentence.
 * @returns {Promise<boolean>} whether one was given.
 */
export function askForKey(reason = WANTED) {
  question ??= ask(reason).then((given) => {
    question = null;
    isRefused = given === null;
    keep(given); // if none, the one that was refused is forgotten too
    keyEvents.dispatchEvent(new Event("change"));
    return given !== null;
  });
  return question;
}

/** Forget the key, and all that the page shows and this tab keeps with it. */
export function forgetKey() {
  keep(null);
  try {
    Object.keys(sessionStorage).filter((name) => name.startsWith(OURS)).forEach((name) => sessionStorage.removeItem(name));
  } catch {
    // as in `keep`
  }
  location.assign(location.pathname); // without what it had opened
}

addEventListener("click", () => (isRefused = false), { capture: true });
// "Back" may show a page as it was left, with a key that was forgotten or replaced on another page since
addEventListener("pageshow", (event) => {
  if (event.persisted && stored() !== key) location.reload();
});

/** @param {string} reason @returns {Promise<string | null>} */
function ask(reason) {
  const problem = el("p", { class: "problem", id: "key-problem", role: "alert" });
  const input = el("input", {
    type: "password",
    id: "key-input",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "key-help key-problem",
  });
  const dialog = el(
    "dialog",
    { class: "dialog key-dialog", "aria-labelledby": "key-title" },
    el(
      "form",
      { noValidate: true },
      el("h2", { id: "key-title", text: reason }),
      el("p", { class: "hint", id: "key-help", text: "It stays in this tab, and is forgotten when the tab is closed." }),
      el("label", { for: "key-input", text: "API key" }),
      input,
      problem,
      el(
        "div",
        { class: "actions" },
        el("button", { type: "button", text: "Not now", on: { click: () => dialog.close() } }),
        el("button", { type: "submit", class: "primary", text: "Use this key" }),
      ),
    ),
  );
  /** @type {string | null} */
  let given = null;
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = input.value.trim();
    if (USED_IN_KEYS.test(value)) {
      given = value;
      dialog.close();
      return;
    }
    problem.textContent = value === "" ? "Type the key in first." : UNKNOWN;
    input.setAttribute("aria-invalid", "true");
    input.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(given);
    });
  });
}

/** @returns {string | null} */
function stored() {
  try {
    return sessionStorage.getItem(PLACE);
  } catch {
    return null; // the browser forbids it: then it lasts as long as the page
  }
}

/** @param {string | null} value */
function keep(value) {
  key = value;
  try {
    if (value === null) sessionStorage.removeItem(PLACE);
    else sessionStorage.setItem(PLACE, value);
  } catch {
    // as above
  }
}
