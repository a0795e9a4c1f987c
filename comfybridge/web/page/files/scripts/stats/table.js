/** A table of texts. */

import { el } from "../element.js";

/**
 * @param {string} name
 * @param {string[]} heads
 * @param {string[][]} rows the first text of each names the row.
 * @returns {HTMLElement}
 */
export function table(name, heads, rows) {
  const row = (/** @type {string[]} */ [first, ...others]) =>
    el("tr", {}, el("th", { scope: "row", text: first }), ...others.map((text) => el("td", { text })));
  const head = el("tr", {}, ...heads.map((text) => el("th", { scope: "col", text })));
  return el(
    "div",
    { class: "table-scroll", tabindex: "0", role: "group", "aria-label": name },
    el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows.map(row))),
  );
}
