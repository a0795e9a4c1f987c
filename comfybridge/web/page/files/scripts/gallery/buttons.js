/** The buttons of a card. */

import { alertUser } from "../announce.js";
import { el } from "../element.js";
import { copyMenu } from "./copying.js";
import { downloadControl } from "./downloads.js";
import { contentOf, isUnfinished, requestOfEntry } from "./entry.js";
import { variationsOf } from "./variations.js";

/** @typedef {import("./card.js").Card} Card */

/** @param {Card} card @returns {HTMLElement} */
export function cardButtons(card) {
  const { entry, result, run, host } = card;
  const isGoing = run !== null && !run.hasEnded;
  const buttons = [
    result && !isGoing ? downloadControl(entry.promptIds, result.outputs, alertUser) : null,
    isGoing ? null : goOnButton(card),
    copyMenu(() => run?.request ?? requestOfEntry(entry), host.policy.needs_key),
    button("Run again", () => runAgain(card)),
    result && !isGoing ? variationsButton(card) : null,
    result && !isGoing ? compareBox(card) : null,
    isGoing ? null : button("Remove", () => host.remove(card)),
  ];
  return el("div", { class: "card-buttons" }, ...buttons.filter((each) => each !== null));
}

/** @param {Card} card */
function goOnButton(card) {
  const { run, entry } = card;
  if (run) return run.wayOn && button(run.wayOn, () => card.goOn());
  const mayRun = isUnfinished(entry) || (entry.state === "failed" && entry.error?.type === "timeout");
  return mayRun ? button("Go on watching", () => card.goOn()) : null;
}

/** @param {Card} card */
function runAgain({ entry, host }) {
  host.onRunAgain(entry, contentOf(entry));
  const files = Object.values(entry.fileNames);
  if (files.length) alertUser(`Choose the files again, which the page has not kept: ${files.join(", ")}.`);
}

/** @param {Card} card */
function variationsButton(card) {
  const { entry, run, host } = card;
  const hasFiles = Object.keys(entry.fileNames).length > 0;
  const sent = run && !run.isResumed ? run.request : requestOfEntry(entry);
  const requests = variationsOf(sent, entry.seeds, host.policy);
  if (!requests.length) return null;
  if (hasFiles && (!run || run.isResumed)) return null; // its files are gone
  return button("Variations", () => requests.forEach((request) => host.send(request)), {
    title: "Four more, with the following seeds",
  });
}

/** @param {Card} card */
function compareBox(card) {
  const change = () => host.compare(card, box.checked);
  const { host } = card;
  const box = el("input", { type: "checkbox", checked: host.isCompared(card), on: { change } });
  return el("label", { class: "card-compare" }, box, " Compare");
}

/** @param {string} text @param {() => void} click @param {Record<string, string>} [others] */
function button(text, click, others = {}) {
  return el("button", { type: "button", text, on: { click }, ...others });
}
