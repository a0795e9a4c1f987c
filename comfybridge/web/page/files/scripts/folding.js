/** Long texts of workflows, which would fill the page: folded, until somebody wants to read all of them. */

import { el } from "./element.js";

const LONGEST = 300; // characters that are shown at once

/**
 * @param {string} text its lines are kept.
 * @param {{class?: string, id?: string}} [properties] of the paragraph.
 * @returns {HTMLElement} the paragraph, with a button below it if it is long.
 */
export function foldable(text, { class: name = "", id } = {}) {
  const shown = el("p", { class: `told ${name}`, id, text });
  if (text.length <= LONGEST) return shown;
  const click = () => {
    const isFolded = shown.classList.toggle("is-folded");
    button.setAttribute("aria-expanded", String(!isFolded));
    button.textContent = isFolded ? "Show all of it" : "Show less";
  };
  shown.classList.add("is-folded");
  const button = el("button", { type: "button", class: "quiet", "aria-expanded": false, text: "Show all of it", on: { click } });
  return el("div", { class: "foldable" }, shown, button);
}
