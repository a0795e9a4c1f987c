/** When the bridge gives up waiting for a run. */

const SHORTEST_SECONDS = 5;

/** The bridge counts the time from the arrival of a request; a repeated one gets what is left of it. */
export class Deadline {
  /** @type {Date | null} null while no request has been sent, or if its timeout is unknown. */
  at = null;

  /** @param {number | undefined} seconds the timeout of the request; undefined if it is unknown. */
  constructor(seconds) {
    this.own = this.seconds = seconds;
  }

  /** Give it at least this many seconds from its next request on. @param {number | undefined} seconds */
  extend(seconds) {
    this.at = null;
    if (seconds && (this.seconds ?? 0) < seconds) this.seconds = seconds;
  }

  /** The time begins, unless it has. */
  begin() {
    if (!this.at && this.seconds) this.at = new Date(Date.now() + this.seconds * 1000);
  }

  /** There is no deadline until the next request. */
  forget() {
    this.at = null;
  }

  /** @returns {number | undefined} the timeout to send, in seconds; undefined for the request's own. */
  get left() {
    if (!this.at || !this.seconds) return undefined;
    const left = (this.at.getTime() - Date.now()) / 1000;
    return this.seconds === this.own && left > this.seconds - 1 ? undefined : Math.max(SHORTEST_SECONDS, Math.round(left * 10) / 10);
  }

  /**
   * @param {number} seconds from now.
   * @returns {boolean} whether the time will be over then.
   */
  isOverIn(seconds) {
    return this.at !== null && Date.now() + seconds * 1000 > this.at.getTime();
  }
}
