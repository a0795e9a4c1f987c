/** The card of one entry: its run while that goes on, then what it made. */

import { announce } from "../announce.js";
import { ApiError } from "../api.js";
import { el } from "../element.js";
import { askForKey } from "../key.js";
import { isEmbedded, showOutput } from "../outputs.js";
import { lookUp, together } from "../run/results.js";
import { Run } from "../run/run.js";
import { isUnknown } from "../run/troubles.js";
import { RunView } from "../run/view.js";
import { stateInWords } from "../run/words.js";
import { cardButtons } from "./buttons.js";
import { entryOf, isUnfinished, requestOfEntry } from "./entry.js";
import { factLine, parameterList, warningList } from "./facts.js";

/**
 * @typedef {import("./entry.js").Entry} Entry
 * @typedef {import("../outputs.js").Result} Result
 * @typedef {import("./gallery.js").Host} Host
 */

// Links work for 60 minutes.
const FRESH_MINUTES = 50;
const UNAUTHORIZED = 401;
const FORGOTTEN = "ComfyUI has forgotten this, and its files with it. It can be run again.";
const ELSEWHERE = "It runs in another tab.";
const EMBEDDED = "This stays only as long as this page: ComfyUI did not store it, so it can't be fetched again.";

export class Card {
  /** @type {Run | null} */
  run = null;
  /** @type {Result | null} */
  result = null;
  /** @type {RunView | null} */
  #view = null;
  #hasLooked = false;
  #isLooking = false;
  /** Whether the bridge could not be asked, or could not tell. */
  #mustLookAgain = false;
  #isClosed = false;
  #isGone = false;
  #linksMade = 0;
  #said = "";
  #title = el("h3", { tabindex: "-1" });
  #body = el("div", { class: "card-body" });
  #foot = el("div", { class: "card-foot" });

  /**
   * @param {Entry} entry
   * @param {Host} host
   */
  constructor(entry, host) {
    this.entry = entry;
    this.host = host;
    this.element = el("article", { class: "card" }, this.#title, this.#body, this.#foot);
    this.#show();
  }

  /** Show an entry that another tab has changed. @param {Entry} entry */
  update(entry) {
    if (this.run || entry.state === this.entry.state) return;
    this.entry = entry;
    this.#show();
  }

  /** Follow a run. @param {Run} run */
  follow(run) {
    this.run = run;
    run.addEventListener("change", () => this.#runChanged(run));
    this.#runChanged(run);
  }

  /** Take up the run that the entry is of. */
  resume() {
    const { promptIds } = this.entry;
    const run = new Run(requestOfEntry(this.entry), { promptIds, timeout: this.host.policy.timeout });
    this.follow(run);
    run.start();
  }

  /** Let it go on with what has failed for now. */
  async goOn() {
    const { error } = this.run ?? {};
    if (error instanceof ApiError && error.status === UNAUTHORIZED && !(await askForKey())) return;
    if (this.run) this.run.start();
    else this.resume();
  }

  focus() {
    this.#title.focus();
  }

  /** Stop all that goes on for it, but not the run. */
  close() {
    this.#isClosed = true;
    this.#view?.close();
    this.host.loading.forget(this.element);
  }

  /**
   * Once it is in view: ask again what could not be told, make new links if these are about to expire, and see what
   * became of another tab's run.
   */
  refresh() {
    if (this.#mustLookAgain) {
      this.#isGone = false;
      return this.#lookWhenSeen();
    }
    if (!this.run && isUnfinished(this.entry) && this.entry.promptIds.length) {
      return this.host.loading.whenSeen(this.element, () => this.#lookForEnd());
    }
    const isPlaying = [...this.#body.querySelectorAll("video, audio")].some(
      (each) => each instanceof HTMLMediaElement && !each.paused,
    );
    const isOld = Date.now() - this.#linksMade > FRESH_MINUTES * 60_000;
    if (!this.result || !isOld || isPlaying || this.result.outputs.some(isEmbedded)) return;
    this.#isGone = false;
    this.#lookWhenSeen();
  }

  /** @param {Run} run */
  #runChanged(run) {
    if (run !== this.run || this.#isClosed) return;
    const before = this.entry;
    if (run.result) this.#take(run.result);
    this.entry = entryOf(run, before);
    const isNews = run.state !== before.state || String(run.promptIds) !== String(before.promptIds);
    if (isNews || run.hasEnded) this.host.changed(this, run);
    this.#announce(run);
    if (run.hasEnded || !this.#view) this.#show();
    else this.#view.show();
  }

  /** @param {Run} run */
  #announce(run) {
    const details = run.note || run.error?.message;
    const sentence = details ? `${stateInWords(run)}. ${details}` : stateInWords(run);
    if (sentence === this.#said || run.state === "sending") return;
    this.#said = sentence;
    announce(`${this.#title.textContent}: ${sentence}`, this.entry.id);
  }

  /** @param {Result} result */
  #take(result) {
    this.result = result;
    this.#linksMade = Date.now();
  }

  #show() {
    const hadFocus = this.element.contains(document.activeElement);
    this.#title.textContent = this.entry.title;
    this.#view?.close();
    this.#view = null;
    if (this.run && !this.run.hasEnded) {
      this.#view = new RunView(this.run);
      this.#body.replaceChildren(this.#view.element);
    } else {
      this.#body.replaceChildren(...this.#ended());
    }
    const warnings = warningList(this.entry);
    this.#foot.replaceChildren(
      ...[factLine(this.entry), warnings, parameterList(this.entry), cardButtons(this)].filter((each) => each !== null),
    );
    if (hadFocus && !this.element.contains(document.activeElement)) this.focus();
  }

  /** @returns {HTMLElement[]} */
  #ended() {
    const { entry, result } = this;
    const parts = result ? this.#outputs(result) : [];
    if (entry.error && !(entry.note && entry.state === "cancelled")) parts.push(el("p", { class: "card-error", text: entry.error.message }));
    if (entry.note) parts.push(el("p", { class: "run-note", text: entry.note }));
    if (entry.state === "cancelled" && !entry.note && !entry.error) parts.push(el("p", { text: "Cancelled." }));
    if (!this.run && isUnfinished(entry)) return [el("p", { class: "run-note", text: ELSEWHERE })];
    if (!result && !this.run && entry.promptIds.length && entry.state !== "cancelled" && !this.#hasLooked) {
      this.#lookWhenSeen();
      if (entry.state === "succeeded") return [el("p", { class: "card-loading", text: "Fetching…" })];
    }
    return parts;
  }

  /** @param {Result} result @returns {HTMLElement[]} */
  #outputs(result) {
    const alt = this.entry.title;
    const onGone = () => {
      if (this.#isGone || result.outputs.some(isEmbedded)) return this.#isLooking || this.#mustLookAgain;
      this.#isGone = true; // once: new links need not help
      this.#lookWhenSeen();
      return true;
    };
    const shown = result.outputs.map((output) => showOutput(output, { alt, onGone }));
    const pictured = result.outputs.filter(({ kind }) => kind === "image" || kind === "video").length;
    const parts = [el("div", { class: pictured > 1 ? "outputs is-tiled" : "outputs" }, ...shown)];
    if (result.outputs.some(isEmbedded)) parts.push(el("p", { class: "run-note", text: EMBEDDED }));
    return parts;
  }

  #lookWhenSeen() {
    this.#isLooking = true;
    this.host.loading.whenSeen(this.element, () => this.#look());
  }

  /** A tab that is closed tells nobody how its run has ended. */
  async #lookForEnd() {
    const found = await lookUp(this.entry.promptIds).catch(() => []);
    const hasEnded = found.length > 0 && !found.some((each) => each.unfinished);
    if (hasEnded && !this.run && isUnfinished(this.entry) && !this.#isClosed) await this.#look();
  }

  /** Ask the bridge for the outputs. */
  async #look() {
    this.#mustLookAgain = false;
    try {
      const found = await lookUp(this.entry.promptIds);
      if (this.#isClosed) return;
      if (found.some((each) => each.unfinished)) return this.resume();
      const { result, error } = together(found);
      if (result) this.#take(result);
      else this.result = null;
      /** @type {Entry["state"]} */
      const state = error ? (this.entry.state === "cancelled" ? "cancelled" : "failed") : "succeeded";
      const message = error && isUnknown(error) && this.entry.timings ? FORGOTTEN : (error?.message ?? "");
      const failure = error && { type: error.type, message };
      const wasSuccess = this.entry.state === "succeeded";
      const end = isUnfinished(this.entry) ? { state } : {};
      this.entry = { ...this.entry, ...end, error: failure, ...(result && this.#facts(result)) };
      if (!error || !wasSuccess) this.host.keep({ ...this.entry, state });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.entry = { ...this.entry, error: { type: "", message } };
      this.#mustLookAgain = true;
    }
    this.#hasLooked = true;
    this.#isLooking = false;
    this.#show();
  }

  /** @param {Result} result */
  #facts(result) {
    const { seed, params, warnings, timings } = result;
    return { seed, seeds: result.seeds ?? [seed], params, warnings, timings };
  }
}
