/** The two ways to follow prompts: the stream of events of a request, and asking for their results. */

import { errorOf } from "../api.js";
import { eventsOf } from "../events.js";
import { pause } from "./pauses.js";
import { lookUp } from "./results.js";
import { ConnectionLost } from "./troubles.js";

// The bridge writes at least a comment every 15 s.
const SILENCE_SECONDS = 45;
const POLL_SECONDS = 2;

/**
 * @typedef {import("../outputs.js").Result} Result
 * @typedef {import("./results.js").Found} Found
 */

/**
 * Follow an answer of `POST /generate` to its end.
 *
 * @param {Response} response
 * @param {AbortController} attempt of the call; aborted when the bridge is silent for too long.
 * @param {(event: string, data: any) => void} tell called with each event but the last.
 * @returns {Promise<Result>}
 * @throws {ApiError} the error that the last event tells.
 * @throws {ConnectionLost} if the stream is cut or silent.
 */
export async function followEvents(response, attempt, tell) {
  const silent = () => attempt.abort(new ConnectionLost("The bridge has been silent for too long."));
  let watchdog = setTimeout(silent, SILENCE_SECONDS * 1000);
  const onBytes = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(silent, SILENCE_SECONDS * 1000);
  };
  try {
    for await (const { event, data } of eventsOf(response, onBytes)) {
      if (event === "result") return data;
      if (event === "error") throw errorOf(data, { status: 0 });
      tell(event, data);
    }
  } catch (error) {
    if (attempt.signal.reason instanceof Error) throw attempt.signal.reason;
    // browsers tell of a cut stream with a TypeError or a DOMException
    if (error instanceof TypeError || error instanceof DOMException) throw new ConnectionLost(String(error));
    throw error;
  } finally {
    clearTimeout(watchdog);
  }
  throw new ConnectionLost("The stream of events ended early.");
}

/**
 * Ask for prompts until none waits or runs any more, or until it is told not to.
 *
 * @param {string[]} ids
 * @param {AbortSignal} signal
 * @param {(position: number) => boolean | void} tell called with the place of the first that waits; 0 if one runs. true
 *   ends it.
 * @returns {Promise<Found[]>}
 */
export async function followResults(ids, signal, tell) {
  for (;;) {
    const found = await lookUp(ids, signal);
    const position = placeOf(found);
    if (position === null || tell(position)) return found;
    await pause(POLL_SECONDS, { signal });
  }
}

/**
 * @param {Found[]} found
 * @returns {number | null} the place of the first prompt that waits, 0 if one runs; null if all have ended.
 */
export function placeOf(found) {
  const places = found.flatMap((each) => (each.unfinished ? [each.unfinished.position] : []));
  return places.length ? Math.min(...places) : null;
}
