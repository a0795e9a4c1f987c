/** One request, from sending it to its result: over lost connections, busy bridges and cancels. */

import { ApiError } from "../api.js";
import { promptIdsOf } from "../outputs.js";
import { UnreadableFile } from "../readable.js";
import { send } from "../request.js";
import { cancelPrompts } from "./cancelling.js";
import { Deadline } from "./deadline.js";
import { followEvents, followResults, placeOf } from "./following.js";
import { pause } from "./pauses.js";
import { watchPlace } from "./place.js";
import { Progress } from "./progress.js";
import { together } from "./results.js";
import { Crowded, isCrowded, isRoom, openStream } from "./streams.js";
import { isCancelled, isConnectionLost, isOfOnePrompt, isUnknown, secondsUntilNext, wayOn } from "./troubles.js";

const LATE = "It had ended before it could be cancelled.";

/**
 * @typedef {"sending" | "waiting" | "running" | "reconnecting" | "succeeded" | "failed" | "cancelled"} RunState
 * @typedef {import("../request.js").SentRequest} SentRequest
 * @typedef {import("../outputs.js").Result} Result
 * @typedef {import("./results.js").Found} Found
 */

/** Fires "change" whenever something that it shows has changed. */
export class Run extends EventTarget {
  /** @type {RunState} */
  state = "sending";
  /** @type {string[]} those of all prompts; empty until the bridge has named them. */
  promptIds = [];
  progress = new Progress();
  /** What there is to say besides the state, as a sentence. */
  note = "";
  /** @type {Result | null} of several prompts, those that succeeded. */
  result = null;
  /** @type {Error | null} */
  error = null;
  /** Whether a cancel has been asked for, and its effect has not been seen yet. */
  isCancelling = false;
  created = new Date();
  /** What became of a cancel, as a sentence. */
  #said = "";
  #life = new AbortController();
  #failures = 0;
  #usualTimeout;
  /** Whether the request can be sent once more: an earlier page's files are gone, as those are that have changed. */
  #isWhole;

  /**
   * @param {SentRequest} request
   * @param {{timeout?: number, promptIds?: string[]}} [options] timeout: seconds that the bridge takes if the request
   *   names none. promptIds: those of an earlier page's run, which is resumed; none if that has not heard of them.
   */
  constructor(request, { timeout, promptIds } = {}) {
    super();
    this.request = request;
    this.#usualTimeout = timeout;
    this.deadline = new Deadline(Number(request.body.timeout ?? timeout) || undefined);
    this.promptIds = promptIds ?? [];
    this.isResumed = promptIds !== undefined;
    this.#isWhole = !this.isResumed || !request.files.length;
  }

  get hasEnded() {
    return ["succeeded", "failed", "cancelled"].includes(this.state);
  }

  /** @returns {string | null} what the button for `start` says once the run has failed; null if that leads nowhere. */
  get wayOn() {
    return this.state === "failed" ? wayOn(this.error, this.promptIds.length > 0) : null;
  }

  /** Send the request, or take it up again, and follow it to its end. Never fails: the state tells. */
  async start() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    this.error = null;
    this.#said = "";
    if (this.hasEnded) this.deadline.extend(this.#usualTimeout);
    this.#failures = 0;
    this.#show(this.promptIds.length ? "waiting" : "sending");
    while (!signal.aborted && !this.hasEnded) {
      try {
        await this.#attempt(signal);
      } catch (error) {
        if (!signal.aborted) await this.#afterError(error, signal).catch(() => {}); // only its end ends a pause early
      }
    }
  }

  /** Cancel it: at once, or as soon as the bridge has said what to cancel. */
  async cancel() {
    if (this.state === "waiting" && !this.promptIds.length) {
      this.#life.abort();
      this.#said = "Cancelled: nothing had been queued.";
      return this.#end("cancelled");
    }
    this.isCancelling = true;
    this.#said = this.promptIds.length ? "" : "It is cancelled as soon as the bridge has queued it.";
    this.#show(this.state);
    if (this.promptIds.length) await this.#cancelNow();
  }

  /** @param {AbortSignal} signal */
  async #attempt(signal) {
    if (this.promptIds.length) {
      if (this.isCancelling) await this.#cancelNow();
      const found = await followResults(this.promptIds, signal, (position) => {
        if (this.deadline.isOverIn(0)) this.deadline.forget(); // nobody gives up while no request waits
        this.#place(position);
        return this.#isWhole && isRoom(position === 0);
      });
      const isLost = !this.isResumed && this.#isWhole && !this.isCancelling && found.some((each) => isUnknown(each.error));
      if (placeOf(found) === null && !isLost) return this.#collect(found);
    }
    await this.#stream(signal);
  }

  /** @param {AbortSignal} life */
  async #stream(life) {
    const attempt = new AbortController();
    const stop = () => attempt.abort(life.reason);
    life.addEventListener("abort", stop);
    this.deadline.begin();
    const close = openStream();
    try {
      const response = await send(this.request, { timeout: this.deadline.left, signal: attempt.signal });
      this.#failures = 0;
      const result = await followEvents(response, attempt, (event, data) => this.#told(event, data, attempt));
      if (life.aborted) return;
      this.promptIds = promptIdsOf(result);
      this.#end("succeeded", { result });
    } finally {
      life.removeEventListener("abort", stop);
      attempt.abort();
      close();
    }
  }

  /** @param {string} event @param {any} data @param {AbortController} attempt */
  #told(event, data, attempt) {
    if (event === "preview") this.progress.previewed(data);
    if (event === "progress") this.progress.progressed(data);
    if (event === "queued") {
      const ids = (this.promptIds = data.prompt_ids ?? [data.prompt_id]);
      this.progress.queued(data);
      if (this.isCancelling) this.#cancelNow();
      const isWaiting = () => ids === this.promptIds && !this.progress.isRunning;
      watchPlace(ids, isWaiting, (position) => this.#place(position), attempt.signal);
      if (isCrowded(data.position === 0)) attempt.abort(new Crowded());
    }
    this.#show(this.progress.isRunning ? "running" : "waiting");
  }

  /** @param {number} position */
  #place(position) {
    this.progress.position = position;
    this.#show(position ? "waiting" : "running");
  }

  /** @param {Found[]} found all have ended. */
  #collect(found) {
    const { result, error } = together(found);
    if (result && !error) return this.#end("succeeded", { result });
    const wasCancelled = isCancelled(error) || (this.isCancelling && isUnknown(error));
    this.#end(wasCancelled ? "cancelled" : "failed", { result, error });
  }

  async #cancelNow() {
    try {
      const done = await cancelPrompts(this.promptIds);
      if (this.state === "succeeded") return;
      this.#said = done.said;
      this.isCancelling = done.isCancelled && !this.hasEnded;
      if (this.state !== "failed") return this.#show(this.state);
      if (done.isCancelled) return this.#end("cancelled");
      await this.start(); // to show what it came to in the meantime
    } catch (error) {
      if (isConnectionLost(error) && !this.hasEnded) return; // it is done once the bridge answers again
      this.isCancelling = false;
      this.#said = `It could not be cancelled: ${/** @type {Error} */ (error).message}`;
      this.#show(this.state);
    }
  }

  /**
   * Wait before another attempt, or end.
   *
   * @param {unknown} error
   * @param {AbortSignal} signal
   */
  async #afterError(error, signal) {
    if (error instanceof Crowded) return;
    if (error instanceof ApiError && error.promptId && !this.promptIds.length) this.promptIds = [error.promptId];
    if (isOfOnePrompt(error)) return this.#afterStream(error, signal);
    if (error instanceof UnreadableFile && this.promptIds.length) {
      this.#isWhole = false; // its results can be asked for
      return;
    }
    const seconds = secondsUntilNext(error, ++this.#failures, this.deadline);
    if (seconds === null) return this.#end("failed", { error });
    this.progress.lose();
    const isLost = isConnectionLost(error);
    const reason = isLost ? "The connection to the bridge is lost." : String(/** @type {Error} */ (error).message);
    this.#show(isLost || this.promptIds.length ? "reconnecting" : "waiting", reason);
    await pause(seconds, { signal, untilOnline: isLost });
  }

  /**
   * Of several prompts, wait for those that go on although one has failed or was cancelled, and end.
   *
   * @param {unknown} error
   * @param {AbortSignal} signal
   */
  async #afterStream(error, signal) {
    const state = isCancelled(error) ? "cancelled" : "failed";
    const isAlone = this.promptIds.length < 2;
    const found = isAlone ? [] : await followResults(this.promptIds, signal, (each) => this.#place(each));
    this.#end(state, { ...together(found), error });
  }

  /** @param {RunState} state @param {{result?: Result | null, error?: unknown}} [how] */
  #end(state, { result = null, error = null } = {}) {
    if (state === "succeeded" && this.isCancelling) this.#said = LATE;
    this.result = result;
    this.error = error === null || error instanceof Error ? error : new Error(String(error));
    this.isCancelling = false;
    this.deadline.forget();
    this.progress.lose();
    this.progress.dropPreview();
    this.#show(state);
  }

  /** @param {RunState} state @param {string} [note] in place of what became of a cancel. */
  #show(state, note = this.#said) {
    this.note = note;
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
