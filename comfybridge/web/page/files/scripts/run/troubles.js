/** What an error means for a run: whether to try again by itself, or to offer it, or neither. */

import { ApiError, NetworkError } from "../api.js";
import { growing } from "./pauses.js";

const PASSING = ["busy", "rate_limited", "shutting_down", "comfyui_unreachable", "engine_unreachable"];
// How long after the deadline a bridge that is away is looked for: it may have kept the prompt.
const GRACE_SECONDS = 60;
const OF_PROXIES = [502, 503, 504];

/** The connection ended, or was silent for too long, before the last event. */
export class ConnectionLost extends Error {}

/** @param {unknown} error */
export function isConnectionLost(error) {
  if (error instanceof ConnectionLost || error instanceof NetworkError) return true;
  return error instanceof ApiError && !error.type && OF_PROXIES.includes(error.status); // a proxy without its bridge
}

/**
 * Whether the bridge refuses for now, and the same request may succeed later.
 *
 * @param {unknown} error
 * @returns {error is ApiError}
 */
function isPassing(error) {
  return error instanceof ApiError && PASSING.includes(error.type);
}

/** @param {unknown} error */
export function isCancelled(error) {
  return error instanceof ApiError && error.type === "interrupted";
}

/** @param {unknown} error */
export function isUnknown(error) {
  return error instanceof ApiError && error.type === "unknown_prompt";
}

/**
 * What the button says with which a person lets a failed run go on; null if that would lead nowhere.
 *
 * @param {unknown} error
 * @param {boolean} isQueued whether a prompt is known that may run still.
 * @returns {string | null}
 */
export function wayOn(error, isQueued) {
  if (error instanceof ApiError && error.type === "timeout" && isQueued) return "Go on watching";
  if (isConnectionLost(error) || isPassing(error)) return "Try again";
  return error instanceof ApiError && [401, 408, 502, 504].includes(error.status) ? "Try again" : null;
}

/**
 * How long to wait before the same request is sent again.
 *
 * @param {unknown} error
 * @param {number} failures how many there were in a row, from 1.
 * @param {import("./deadline.js").Deadline} deadline
 * @returns {number | null} seconds; null if it is not to be sent again.
 */
export function secondsUntilNext(error, failures, deadline) {
  if (isConnectionLost(error)) {
    const seconds = growing(failures);
    return deadline.isOverIn(seconds - GRACE_SECONDS) ? null : seconds;
  }
  if (!isPassing(error)) return null;
  const seconds = error.retryAfter || growing(failures);
  return deadline.isOverIn(seconds) ? null : seconds;
}

/**
 * Whether the error of a stream is that of one prompt of several, so that the others may have results, or go on.
 *
 * @param {unknown} error
 */
export function isOfOnePrompt(error) {
  if (isCancelled(error)) return true;
  return error instanceof ApiError && error.status === 0 && error.type !== "timeout" && !isPassing(error);
}
