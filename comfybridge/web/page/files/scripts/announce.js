/** Says things: to screen readers, and to everybody if something is wrong. */

import { el } from "./element.js";

const PAUSE_MS = 100; // a screen reader hears a region that has been there for a moment

const region = el("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
/** @type {HTMLElement | null} */
let notice = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** @type {Map<string, string>} */
const waiting = new Map();

/**
 * Tell screen readers, without interrupting them. What comes at the same time is told together.
 *
 * @param {string} text
 * @param {string} [about] of what is told about the same at the same time, only the last is heard.
 */
export function announce(text, about = text) {
  place(region);
  region.textContent = "";
  waiting.set(about, text);
  clearTimeout(timer);
  timer = setTimeout(() => {
    region.textContent = [...waiting.values()].join(" ");
    waiting.clear();
  }, PAUSE_MS);
}

/**
 * Tell everybody that something is wrong; it stays until it is dismissed, or there is something else to say.
 *
 * @param {string} text
 */
export function alertUser(text) {
  dismiss();
  const before = document.activeElement;
  const click = () => {
    dismiss();
    focusAgain(before);
  };
  const dismissing = el("button", { type: "button", class: "quiet", text: "Dismiss", on: { click } });
  notice = el("div", { class: "notice" }, el("p", { role: "alert" }), dismissing);
  place(notice);
  const said = notice.querySelector("p");
  if (said) said.textContent = text; // alerts are heard when they change
}

/** Take away what `alertUser` has shown last. */
export function dismiss() {
  notice?.remove();
  notice = null;
}

/** @param {Element | null} before what had the focus; if it is gone, the content as a whole gets it. */
function focusAgain(before) {
  const isThere = before instanceof HTMLElement && before.isConnected && before !== document.body;
  const home = isThere ? before : document.querySelector("main");
  home?.focus({ preventScroll: true });
}

/** @param {HTMLElement} element goes where it can be heard: an open dialog hides everything outside itself. */
function place(element) {
  const dialogs = document.querySelectorAll("dialog:modal");
  const home = dialogs[dialogs.length - 1] ?? document.body;
  if (element.parentElement !== home) home.append(element);
}

place(region);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog:modal")) dismiss();
});
