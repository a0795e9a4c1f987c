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
    result && !isGoing ? downloadControl(result, alertUser) : null,
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
function runAgain(card) {
  const { entry, host } = card;
  const sent = sentHere(card);
  host.onRunAgain(entry, contentOf(entry, sent?.files));
  const names = Object.values(entry.fileNames);
  if (names.length && !sent) alertUser(`Choose the files again, which the page has not kept: ${names.join(", ")}.`);
}

/** @param {Card} card @returns {import("../request.js").SentRequest | null} with its files, if this page has sent it. */
function sentHere({ run }) {
  return run && !run.isResumed ? run.request : null;
}

/** @param {Card} card */
function variationsButton(card) {
  const { entry, host } = card;
  const sent = sentHere(card);
  if (!sent && Object.keys(entry.fileNames).length) return null; // its files are gone
  const requests = variationsOf(sent ?? requestOfEntry(entry), entry.seeds, host.policy);
  if (!requests.length) return null;
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
