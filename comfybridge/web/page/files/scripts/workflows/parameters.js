/** The parameters of a workflow as a table. */

import { el } from "../element.js";
import { limitsOf } from "../form/limits.js";

/**
 * @typedef {import("../types.js").Parameter} Parameter
 * @typedef {import("../types.js").Workflow} Workflow
 */

const MOST_CHOICES = 6; // that are written out
const LONGEST_DEFAULT = 80;

/**
 * @param {Workflow} workflow
 * @param {import("../types.js").Policy} policy which narrows what a caller may set.
 * @returns {HTMLElement}
 */
export function parameterTable({ name, parameters, presets }, policy) {
  const required = parameters.required ?? [];
  const rows = Object.entries(parameters.properties).map(([each, parameter]) =>
    row(each, takes(parameter, limitsOf(each, parameter, policy)), required.includes(each) ? "required" : given(parameter.default), parameter.description),
  );
  for (const [preset, choices] of Object.entries(presets)) {
    const set = [...new Set(Object.values(choices).flatMap((values) => Object.keys(values)))];
    rows.push(row(preset, Object.keys(choices).join(", "), "", `a preset: sets ${set.join(", ")}`));
  }
  if (!rows.length) return el("p", { class: "hint", text: "It takes none." });
  const heads = ["Name", "Takes", "Default", "Meaning"].map((text) => el("th", { scope: "col", text }));
  return el(
    "div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": `Parameters of ${name}` },
    el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)),
  );
}

/** @param {string} name @param {string} taken @param {string} normally @param {string} [meaning] */
function row(name, taken, normally, meaning = "") {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("code", { text: name })),
    el("td", { text: taken }),
    el("td", { text: normally }),
    el("td", { text: meaning }),
  );
}

/**
 * @param {Parameter} parameter
 * @param {import("../form/limits.js").Limits} limits
 * @returns {string} such as "integer, 1 to 100".
 */
function takes({ type, format, enum: choices }, { low, high }) {
  if (format) return `${format} file`;
  if (choices) {
    const some = choices.slice(0, MOST_CHOICES).map(String).join(", ");
    return choices.length > MOST_CHOICES ? `one of ${choices.length}: ${some}, …` : `one of ${some}`;
  }
  const kind = [type ?? "any value"].flat().filter((each) => each !== "null").join(" or ").replace("string", "text");
  if (low !== null && high !== null) return `${kind}, ${low} to ${high}`;
  if (low !== null) return `${kind}, at least ${low}`;
  return high === null ? kind : `${kind}, at most ${high}`;
}

/** @param {any} value @returns {string} */
function given(value) {
  if (value === undefined || value === null || value === "") return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > LONGEST_DEFAULT ? `${text.slice(0, LONGEST_DEFAULT)}…` : text;
}
