/** What a card says of its entry besides its pictures. */

import { el } from "../element.js";
import { labelOf } from "../labels.js";
import { duration } from "../run/words.js";

/** @typedef {import("./entry.js").Entry} Entry */

/** @param {Entry} entry @returns {HTMLElement} one line: the workflow, when, the seed, how long it took. */
export function factLine(entry) {
  const created = new Date(entry.created);
  const isToday = created.toDateString() === new Date().toDateString();
  const executing = entry.timings?.executing;
  const seeds = entry.seeds.filter((seed) => seed !== null);
  const facts = [
    entry.workflow ?? (entry.label || "own workflow"),
    isToday ? created.toLocaleTimeString() : created.toLocaleString(),
    seeds.length ? `${seeds.length > 1 ? "seeds" : "seed"} ${seeds.join(", ")}` : "",
    typeof executing === "number" ? duration(executing) : "",
  ];
  return el("p", { class: "card-facts", text: facts.filter(Boolean).join(" · ") });
}

/** @param {Entry} entry @returns {HTMLElement | null} */
export function warningList({ warnings }) {
  if (!warnings.length) return null;
  const items = warnings.map((sentence) => el("li", { text: sentence }));
  return el("ul", { class: "card-warnings", "aria-label": "Warnings" }, ...items);
}

/** @param {Entry} entry @returns {HTMLElement} */
export function parameterList(entry) {
  const rows = Object.entries({ ...entry.params, ...entry.fileNames }).map(([name, value]) => factRow(name, value));
  const list = el("dl", { class: "facts" }, ...rows);
  return el("details", { class: "card-parameters" }, el("summary", { text: "Parameters" }), list);
}

/** @param {string} name @param {unknown} value */
function factRow(name, value) {
  return el("div", {}, el("dt", { text: labelOf(name) }), el("dd", { text: valueText(value) }));
}

/** @param {unknown} value @returns {string} */
export function valueText(value) {
  if (value === undefined || value === null || value === "") return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
