/**
 * How many streams of events may be open. Browsers open six connections to a host at most, and what waits for a free one
 * waits for the end of a run: a cancel, for example.
 */

const MOST = 4;
const MOST_WAITING = 2;

let open = 0;

/** There are too many streams: the prompt runs on without one. */
export class Crowded extends Error {}

/** A stream is opened. @returns {() => void} call it once it is closed. */
export function openStream() {
  open++;
  return () => open--;
}

/** @param {boolean} isRunning @returns {boolean} whether a run may open another stream. */
export function isRoom(isRunning) {
  return open < (isRunning ? MOST : MOST_WAITING);
}

/** @param {boolean} isRunning @returns {boolean} whether a run must close its stream. */
export function isCrowded(isRunning) {
  return open > (isRunning ? MOST : MOST_WAITING);
}
