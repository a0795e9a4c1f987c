/** Waiting between attempts. */

const FIRST_SECONDS = 0.5;
const GROWTH = 1.5;
const LONGEST_SECONDS = 10;

/**
 * How long to wait before an attempt.
 *
 * @param {number} attempt how many have failed in a row, from 1.
 * @returns {number} seconds.
 */
export function growing(attempt) {
  return Math.min(FIRST_SECONDS * GROWTH ** (attempt - 1), LONGEST_SECONDS);
}

/**
 * Wait.
 *
 * @param {number} seconds
 * @param {{signal?: AbortSignal, untilOnline?: boolean}} [options] untilOnline: end early when the browser finds a
 *   network again.
 * @returns {Promise<void>}
 * @throws the signal's reason, when it is aborted.
 */
export function pause(seconds, { signal, untilOnline = false } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(end, seconds * 1000);
    const stop = () => end(signal?.reason);
    signal?.addEventListener("abort", stop);
    const online = () => end();
    if (untilOnline) addEventListener("online", online);

    /** @param {unknown} [reason] */
    function end(reason) {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      removeEventListener("online", online);
      if (reason === undefined) resolve();
      else reject(reason);
    }
  });
}
