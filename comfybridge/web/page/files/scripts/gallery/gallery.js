/** All that this browser has made, newest first. */

import { announce } from "../announce.js";
import { el } from "../element.js";
import { promptIdsOf } from "../outputs.js";
import { Run } from "../run/run.js";
import { Card } from "./card.js";
import { showComparison } from "./comparison.js";
import { entryOf, isUnfinished } from "./entry.js";
import { Loading } from "./loading.js";

/**
 * @typedef {import("./entry.js").Entry} Entry
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("../types.js").Content} Content
 * @typedef {import("../types.js").Policy} Policy
 * @typedef {import("../request.js").SentRequest} SentRequest
 */

/**
 * @typedef {object} Options
 * @property {Policy} policy
 * @property {(entry: Entry, content: Content) => void} onRunAgain fills the form with what the entry was made of.
 * @property {(run: Run) => boolean} [onRefused] called if a request was refused before anything was queued; true if
 *   the form shows why, so that no card is needed.
 */

/**
 * What a card needs of the gallery.
 *
 * @typedef {object} Host
 * @property {Policy} policy
 * @property {Loading} loading
 * @property {(entry: Entry, content: Content) => void} onRunAgain
 * @property {(card: Card, run: Run) => void} changed the card's entry has changed with its run.
 * @property {(entry: Entry) => void} keep stores an entry.
 * @property {(card: Card) => void} remove
 * @property {(request: SentRequest) => void} send starts another run.
 * @property {(card: Card, isChosen: boolean) => void} compare
 * @property {(card: Card) => boolean} isCompared
 */

const REFRESH_SECONDS = 60;

export class Gallery {
  /** @type {Map<string, Card>} by the entries' ids. */
  #cards = new Map();
  /** @type {Set<Card>} */
  #compared = new Set();
  #store;
  #options;
  /** @type {Host} */
  #host;
  #empty = el(
    "div",
    { class: "gallery-empty" },
    el("p", { text: "Nothing yet." }),
    el("p", { text: "Say in the form what you want to see, and press Generate. What you make stays here, newest first." }),
    el("p", { text: "Try a word more or less, the same seed again, or another workflow, and compare what comes." }),
  );
  #unkept = el("p", {
    class: "run-note",
    hidden: true,
    text: "This browser stores no more for this page: what is new here is gone after a reload.",
  });
  #compare = el("button", { type: "button", class: "primary", on: { click: () => showComparison([...this.#compared]) } });
  #bar = el("div", { class: "compare-bar", hidden: true }, this.#compare);
  #list = el("div", { class: "gallery-cards" });
  #heading = el("h2", { id: "gallery-heading", tabindex: "-1", text: "Gallery" });

  /**
   * @param {Store} store
   * @param {Options} options
   */
  constructor(store, options) {
    this.#store = store;
    this.#options = options;
    this.#host = {
      policy: options.policy,
      loading: new Loading(),
      onRunAgain: options.onRunAgain,
      changed: (card, run) => this.#changed(card, run),
      keep: (entry) => this.#keep(entry),
      remove: (card) => this.#remove(card),
      send: (request) => this.#send(request),
      compare: (card, isChosen) => this.#choose(card, isChosen),
      isCompared: (card) => this.#compared.has(card),
    };
    this.element = el(
      "section",
      { class: "gallery", "aria-labelledby": "gallery-heading" },
      this.#heading,
      this.#unkept,
      this.#bar,
      this.#list,
      this.#empty,
    );
    for (const entry of store.entries) this.#resume(this.#append(entry));
    store.addEventListener("change", () => this.#merge());
    setInterval(() => this.refresh(), REFRESH_SECONDS * 1000);
    this.#count();
  }

  get isEmpty() {
    return this.#cards.size === 0;
  }

  /** See what the cards show that may have changed. */
  refresh() {
    for (const card of this.#cards.values()) card.refresh();
  }

  /** Show a run, which may have begun. @param {Run} run */
  add(run) {
    const card = new Card(entryOf(run), this.#host);
    this.#cards.set(card.entry.id, card);
    this.#list.prepend(card.element);
    this.#keep(card.entry);
    card.follow(run);
    this.#count();
  }

  /** @param {SentRequest} request */
  #send(request) {
    const run = new Run(request, { timeout: this.#options.policy.timeout });
    this.add(run);
    run.start();
  }

  /** @param {Entry} entry */
  #append(entry) {
    const card = new Card(entry, this.#host);
    this.#cards.set(entry.id, card);
    this.#list.append(card.element);
    return card;
  }

  /** Go on with what an earlier page has left unfinished. @param {Card} card */
  #resume(card) {
    const { entry } = card;
    if (!isUnfinished(entry)) return;
    const isOver = entry.deadline !== null && Date.parse(entry.deadline) < Date.now();
    if (entry.promptIds.length || !(isOver || Object.keys(entry.fileNames).length)) return card.resume();
    const message = "The page was left before the bridge had queued this.";
    const failed = { ...entry, state: /** @type {const} */ ("failed"), error: { type: "", message } };
    card.update(failed);
    this.#keep(failed);
  }

  /** Take over what other tabs have changed. */
  #merge() {
    const entries = this.#store.entries;
    for (const card of [...this.#cards.values()]) {
      const isKnown = entries.some(({ id }) => id === card.entry.id);
      if (!isKnown && (!card.run || card.run.hasEnded)) this.#drop(card);
    }
    for (const entry of entries) {
      const card = this.#cards.get(entry.id);
      if (card) card.update(entry);
      else this.#append(entry);
    }
    const ordered = [...this.#cards.values()].sort((one, other) => other.entry.created.localeCompare(one.entry.created));
    ordered.forEach((card, index) => {
      if (this.#list.children[index] !== card.element) this.#list.insertBefore(card.element, this.#list.children[index] ?? null);
    });
    this.#count();
  }

  /** @param {Card} card @param {Run} run */
  #changed(card, run) {
    const isRefused = run.state === "failed" && !run.promptIds.length;
    if (isRefused && this.#options.onRefused?.(run)) return this.#remove(card);
    this.#keep(card.entry);
  }

  /** @param {Entry} entry */
  #keep(entry) {
    this.#store.put(entry);
    this.#unkept.hidden = this.#store.isKept;
  }

  /** @param {Card} card */
  #remove(card) {
    const hadFocus = card.element.contains(document.activeElement);
    const next = [...this.#cards.values()].find(({ element }) => element === card.element.nextElementSibling);
    this.#store.remove(card.entry.id);
    this.#drop(card);
    this.#count();
    if (!hadFocus) return;
    announce("Removed from the gallery.");
    if (next) next.focus();
    else this.#heading.focus();
  }

  /** @param {Card} card */
  #drop(card) {
    card.close();
    card.element.remove();
    this.#cards.delete(card.entry.id);
    this.#choose(card, false);
  }

  /** @param {Card} card @param {boolean} isChosen */
  #choose(card, isChosen) {
    if (isChosen) this.#compared.add(card);
    else this.#compared.delete(card);
    const count = [...this.#compared].reduce((sum, { result }) => sum + (result ? promptIdsOf(result).length : 0), 0);
    this.#bar.hidden = count === 0;
    this.#compare.disabled = count < 2;
    this.#compare.textContent = count < 2 ? "Choose another one to compare" : `Compare ${count} side by side`;
  }

  #count() {
    this.#empty.hidden = this.#cards.size > 0;
  }
}
