/** How far a run has come, as the bridge's events tell it. */

/** Nothing here is guessed: what no event has told is null. */
export class Progress {
  /** @type {number | null} of the whole run. */
  percent = null;
  /** @type {number | null} the place in the queue, from 1; 0 once it runs. */
  position = null;
  /** What runs now. */
  step = "";
  /** @type {string | null} the URL of the newest preview. */
  previewUrl = null;
  /** @type {{seconds: number, heard: number} | null} */
  #eta = null;

  /** @returns {number | null} seconds until the end by the last estimate; 0 if it is overdue. */
  get secondsLeft() {
    if (this.#eta === null) return null;
    return Math.max(0, this.#eta.seconds - (performance.now() - this.#eta.heard) / 1000);
  }

  /** Whether anything is known to run. */
  get isRunning() {
    return this.percent !== null || this.position === 0;
  }

  /** Forget what is no longer sure. The last preview stays, until another comes. */
  lose() {
    this.percent = this.position = this.#eta = null;
    this.step = "";
  }

  /** @param {any} event the data of `queued`. */
  queued(event) {
    this.lose();
    this.position = event.position ?? null;
    this.#estimate(event.eta_seconds);
  }

  /** @param {any} event the data of `progress`. */
  progressed(event) {
    this.position = 0;
    this.percent = event.percent;
    this.step = event.max > 1 ? `${event.class_type}, step ${event.value} of ${event.max}` : event.class_type;
    this.#estimate(event.eta_seconds);
  }

  /** @param {any} event the data of `preview`. */
  previewed(event) {
    const bytes = Uint8Array.from(atob(event.data), (character) => character.charCodeAt(0));
    this.dropPreview();
    this.previewUrl = URL.createObjectURL(new Blob([bytes], { type: event.media_type }));
  }

  /** Free the preview's memory. */
  dropPreview() {
    if (this.previewUrl) URL.revokeObjectURL(this.previewUrl);
    this.previewUrl = null;
  }

  /** @param {number | undefined} seconds */
  #estimate(seconds) {
    this.#eta = seconds === undefined ? null : { seconds, heard: performance.now() };
  }
}
