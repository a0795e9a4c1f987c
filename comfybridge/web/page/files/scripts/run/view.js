/** Shows a run that has not ended: its state, its bar, the time left, the preview, and the way to cancel it. */

import { el } from "../element.js";
import { deadlineInWords, stateInWords, timeLeft } from "./words.js";

/** @typedef {import("./run.js").Run} Run */

export class RunView {
  #run;
  #timer;
  #state = el("p", { class: "run-state" });
  #bar = el("progress", { class: "run-bar", max: "100", "aria-label": "Progress" });
  #figures = el("p", { class: "run-figures" });
  #preview = el("img", { class: "run-preview", alt: "Preview of the unfinished picture", hidden: true });
  #note = el("p", { class: "run-note", hidden: true });
  #deadline = el("p", { class: "run-deadline" });
  #cancel;

  /** @param {Run} run */
  constructor(run) {
    this.#run = run;
    const cancel = () => run.isCancelling || run.cancel();
    this.#cancel = el("button", { type: "button", text: "Cancel", on: { click: cancel } });
    this.element = el(
      "div",
      { class: "run" },
      this.#preview,
      this.#state,
      this.#bar,
      this.#figures,
      this.#note,
      this.#deadline,
      this.#cancel,
    );
    this.#timer = setInterval(() => this.#tick(), 1000);
    this.show();
  }

  /** Show the run's present state. */
  show() {
    const { progress, note, isCancelling } = this.#run;
    this.#state.textContent = stateInWords(this.#run);
    if (progress.percent === null) this.#bar.removeAttribute("value");
    else this.#bar.value = progress.percent;
    this.#note.textContent = note;
    this.#note.hidden = !note;
    this.#cancel.setAttribute("aria-disabled", String(isCancelling)); // not `disabled`, which takes the focus away
    this.#cancel.textContent = isCancelling ? "Cancelling" : "Cancel";
    if (progress.previewUrl && this.#preview.src !== progress.previewUrl) this.#preview.src = progress.previewUrl;
    this.#preview.hidden = !progress.previewUrl;
    this.#tick();
  }

  /** Stop the clock. */
  close() {
    clearInterval(this.#timer);
  }

  #tick() {
    const { percent, step } = this.#run.progress;
    const figures = [percent === null ? "" : `${Math.floor(percent)} %`, timeLeft(this.#run), step];
    this.#figures.textContent = figures.filter(Boolean).join(" · ");
    const { at } = this.#run.deadline;
    this.#deadline.textContent = at === null ? "" : deadlineInWords(at);
  }
}
