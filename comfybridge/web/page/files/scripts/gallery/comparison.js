/** Outputs of several entries side by side, with the parameters in which they differ. */

import { el } from "../element.js";
import { promptIdsOf, showOutput } from "../outputs.js";
import { labelOf } from "../labels.js";
import { valueText } from "./facts.js";

/**
 * @typedef {import("./card.js").Card} Card
 * @typedef {import("../outputs.js").Output} Output
 * @typedef {{title: string, outputs: Output[], params: Record<string, any>}} Column
 */

/** Show a dialog. @param {Card[]} cards with results. */
export function showComparison(cards) {
  const columns = cards.flatMap(columnsOf);
  const close = el("button", { text: "Close" });
  /** @type {HTMLDialogElement} */
  const dialog = el(
    "dialog",
    { class: "comparison", "aria-label": "Side by side" },
    el("h2", { text: "Side by side" }),
    el("div", { class: "comparison-scroll", tabindex: "0", role: "group", "aria-label": "Outputs and what differs" }, table(columns)),
    el("form", { method: "dialog" }, close),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {Card} card @returns {Column[]} one for each prompt. */
function columnsOf({ entry, result }) {
  if (!result) return [];
  const ids = promptIdsOf(result);
  return ids.map((id, index) => ({
    title: ids.length > 1 ? `${entry.title} (${index + 1} of ${ids.length})` : entry.title,
    outputs: ids.length > 1 ? result.outputs.filter((output) => output.prompt_id === id) : result.outputs,
    params: {
      workflow: entry.workflow ?? (entry.label || "own workflow"),
      ...result.params,
      ...entry.fileNames,
      seed: result.seeds?.[index] ?? result.seed,
    },
  }));
}

/** @param {Column[]} columns */
function table(columns) {
  const names = [...new Set(columns.flatMap(({ params }) => Object.keys(params)))];
  const differing = names.filter((name) => new Set(columns.map(({ params }) => valueText(params[name]))).size > 1);
  const heads = columns.map(({ title }) => el("th", { scope: "col", text: title }));
  const pictures = columns.map(({ title, outputs }) =>
    el("td", {}, ...outputs.map((output) => showOutput(output, { alt: title }))),
  );
  const rows = differing.map((name) =>
    el(
      "tr",
      {},
      el("th", { scope: "row", text: labelOf(name) }),
      ...columns.map(({ params }) => el("td", { text: valueText(params[name]) })),
    ),
  );
  const none = el("td", { colspan: String(columns.length), text: "No parameter differs." });
  return el(
    "table",
    {},
    el("colgroup", {}, el("col"), ...columns.map(() => el("col"))),
    el("thead", {}, el("tr", {}, el("td", {}), ...heads)),
    el(
      "tbody",
      {},
      el("tr", {}, el("th", { scope: "row", text: "Output" }), ...pictures),
      ...(rows.length ? rows : [el("tr", {}, el("th", { scope: "row", text: "Differences" }), none)]),
    ),
  );
}
