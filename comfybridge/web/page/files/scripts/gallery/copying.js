/** The menu that copies a request as a program. */

import { announce } from "../announce.js";
import { el } from "../element.js";
import { LANGUAGES } from "../snippets.js";

/**
 * @param {() => import("../request.js").SentRequest} request
 * @param {boolean} needsKey whether the bridge wants a key.
 * @returns {HTMLElement}
 */
export function copyMenu(request, needsKey) {
  const buttons = LANGUAGES.map(({ name, write }) => {
    const copy = () => {
      menu.open = false;
      summary.focus();
      return copyText(write(request(), { base: new URL(".", document.baseURI).href, needsKey }), name);
    };
    return el("button", { type: "button", text: `As ${name}`, on: { click: copy } });
  });
  const summary = el("summary", { class: "button", text: "Copy request" });
  /** @type {HTMLDetailsElement} */
  const menu = el("details", { class: "menu" }, summary, el("div", { class: "menu-items" }, ...buttons));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    summary.focus();
  });
  menu.addEventListener("focusout", (event) => {
    const next = event.relatedTarget;
    if (next instanceof Node && !menu.contains(next)) menu.open = false;
  });
  return menu;
}

/** @param {string} text @param {string} name */
async function copyText(text, name) {
  try {
    await navigator.clipboard.writeText(text); // there over https and on loopback only
    announce(`Copied as ${name}.`);
  } catch {
    showText(text, name);
  }
}

/** @param {string} text @param {string} name */
function showText(text, name) {
  const box = el("textarea", { readonly: "", rows: "16", "aria-label": `The request as ${name}` });
  box.value = text;
  const close = el("button", { text: "Close" });
  const form = el("form", { method: "dialog" }, el("p", { text: "Copy this text:" }), box, close);
  /** @type {HTMLDialogElement} */
  const dialog = el("dialog", { class: "snippet", "aria-label": `The request as ${name}` }, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  box.select();
}
