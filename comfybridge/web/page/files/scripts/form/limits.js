/** The range of a parameter: the workflow's, narrowed to what the caller's policy allows. */

import { numericOf } from "./numbers.js";

/**
 * @typedef {import("../types.js").Parameter} Parameter
 * @typedef {import("../types.js").Policy} Policy
 * @typedef {import("./numbers.js").Numeric} Numeric
 * @typedef {{low: Numeric | null, high: Numeric | null}} Limits null: no limit.
 */

/** @type {Record<string, "max_width" | "max_height" | "max_steps" | "max_batch_size">} */
const OF_POLICY = {
  width: "max_width",
  height: "max_height",
  steps: "max_steps",
  batch_size: "max_batch_size",
};

/**
 * @param {string} name
 * @param {Parameter} parameter
 * @param {Policy} policy
 * @returns {Limits}
 */
export function limitsOf(name, parameter, policy) {
  const key = Object.hasOwn(OF_POLICY, name) ? OF_POLICY[name] : undefined;
  const allowed = key ? policy[key] : null;
  const high = numericOf(parameter.maximum);
  return {
    low: numericOf(parameter.minimum),
    high: allowed != null && (high === null || allowed < high) ? allowed : high,
  };
}

/** @param {Numeric} number @param {Limits} limits @returns {Numeric} the nearest one within them. */
export function clamped(number, { low, high }) {
  if (low !== null && number < low) return low;
  return high !== null && number > high ? high : number;
}

/**
 * @param {Limits} limits
 * @returns {string} such as ` from 1 to 50`; empty without limits.
 */
export function rangeText({ low, high }) {
  if (low !== null && high !== null) return ` from ${low} to ${high}`;
  if (low !== null) return ` of at least ${low}`;
  return high === null ? "" : ` of at most ${high}`;
}
