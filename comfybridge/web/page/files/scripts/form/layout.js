/** Where the parts of a form stand. */

import { el } from "../element.js";
import { labelOf } from "../labels.js";

/**
 * @typedef {import("./field.js").Field} Field
 * @typedef {import("../types.js").Workflow} Workflow
 *
 * @typedef {object} Parts
 * @property {string[]} texts
 * @property {string[]} files
 * @property {string[]} often
 * @property {string[]} seldom
 * @property {Map<string, Field>} fields
 * @property {Field[]} presets
 * @property {import("./run_fields.js").RunFields} run
 */

/**
 * @param {Workflow} workflow
 * @param {Parts} parts
 * @param {HTMLElement} actions what stands at the end.
 * @returns {{form: HTMLFormElement, more: HTMLDetailsElement}}
 */
export function layOut(workflow, parts, actions) {
  const elementsOf = (/** @type {string[]} */ names) => names.flatMap((name) => parts.fields.get(name)?.element ?? []);
  const { n, timeout, format, quality } = parts.run;
  const often = [...parts.presets.map((field) => field.element), ...elementsOf(parts.often)];
  if (n) often.splice(parts.often.at(-1) === "seed" ? -1 : often.length, 0, n.element);
  const more = el(
    "details",
    { class: "form-more" },
    el("summary", { text: "More settings" }),
    el("div", { class: "form-grid" }, ...elementsOf(parts.seldom), timeout.element, format.element, quality.element),
    notesOf("Not offered", Object.entries(workflow.unclear ?? {})),
  );
  const form = el(
    "form",
    { class: "workflow-form", novalidate: true, autocomplete: "off" },
    notesOf(
      "Note",
      (workflow.warnings ?? []).map((warning) => ["", warning]),
    ),
    ...elementsOf([...parts.texts, ...parts.files]),
    el("div", { class: "form-grid" }, ...often),
    more,
    actions,
  );
  return { form, more };
}

/**
 * @param {string} title
 * @param {[string, string][]} notes a parameter's name, or nothing, and a sentence.
 * @returns {HTMLElement | null}
 */
function notesOf(title, notes) {
  if (!notes.length) return null;
  const items = notes.map(([name, text]) =>
    el("li", {}, name ? el("strong", { text: `${labelOf(name)}: ` }) : null, text),
  );
  return el("div", { class: "form-notes" }, el("p", { text: title }), el("ul", {}, ...items));
}
