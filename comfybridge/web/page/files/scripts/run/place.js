/** Looks at the queue again while a run waits: other prompts before it end, or are cancelled. */

import { api } from "../api.js";
import { pause } from "./pauses.js";

const SECONDS = 3;

/**
 * Tell the place of prompts in the queue, every few seconds, while none of them runs.
 *
 * @param {string[]} ids
 * @param {() => boolean} isWaiting whether none is known to run.
 * @param {(position: number) => void} tell from 1; 0 if one of them runs. Not called while the place is unknown.
 * @param {AbortSignal} signal
 */
export async function watchPlace(ids, isWaiting, tell, signal) {
  while (isWaiting()) {
    try {
      await pause(SECONDS, { signal });
      if (document.hidden || !isWaiting()) continue;
      const position = placeOf(ids, await (await api("queue", { signal })).json());
      if (position !== null && isWaiting() && !signal.aborted) tell(position);
    } catch {
      if (signal.aborted) return; // another failure says nothing: the stream of events will tell
    }
  }
}

/** @param {string[]} ids @param {any} queue @returns {number | null} */
function placeOf(ids, queue) {
  /** @param {any} each */
  const isOurs = (each) => ids.includes(each.prompt_id);
  if (queue.running.some(isOurs)) return 0;
  const places = [...queue.pending, ...(queue.jobs ?? [])].filter(isOurs).map((each) => each.position);
  return places.length ? Math.min(...places) : null;
}
