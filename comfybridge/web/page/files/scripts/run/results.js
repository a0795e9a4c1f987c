/** Asks what became of prompts, by their ids. */

import { ApiError, api } from "../api.js";
import { parseExactly } from "../exact_json.js";
import { isCancelled, isUnknown } from "./troubles.js";

/** @typedef {import("../outputs.js").Result} Result */

/**
 * What is known of a prompt: that it has not ended, its result, or the error that it ended with.
 *
 * @typedef {object} Found
 * @property {string} id
 * @property {{status: string, position: number}} [unfinished] position: from 1; 0 if it runs.
 * @property {Result} [result]
 * @property {ApiError} [error]
 */

/**
 * Look up each prompt.
 *
 * @param {string[]} ids
 * @param {AbortSignal} [signal]
 * @returns {Promise<Found[]>}
 * @throws an error that says nothing of the prompt, such as a lost connection.
 */
export function lookUp(ids, signal) {
  return Promise.all(ids.map((id) => lookUpOne(id, signal)));
}

/** @param {string} id @param {AbortSignal} [signal] @returns {Promise<Found>} */
async function lookUpOne(id, signal) {
  try {
    const response = await api(`results/${encodeURIComponent(id)}`, { accept: "application/json", signal });
    const body = parseExactly(await response.text());
    return response.status === 202 ? { id, unfinished: body } : { id, result: body };
  } catch (error) {
    if (isOfThePrompt(error)) return { id, error };
    throw error;
  }
}

/**
 * Whether an error is the prompt's end, and not one of the question.
 *
 * @param {unknown} error
 * @returns {error is ApiError}
 */
function isOfThePrompt(error) {
  if (!(error instanceof ApiError)) return false;
  if (["execution_failed", "no_output"].includes(error.type)) return true;
  return error.status < 500 && ![401, 408, 429].includes(error.status);
}

/**
 * The results of a request's prompts as one, and the error that weighs most.
 *
 * @param {Found[]} found
 * @returns {{result: Result | null, error: ApiError | null}}
 */
export function together(found) {
  const results = found.flatMap((each) => (each.result ? [each.result] : []));
  const errors = found.flatMap((each) => (each.error ? [each.error] : []));
  const failure = errors.find((error) => !isCancelled(error) && !isUnknown(error));
  return { result: merged(results), error: failure ?? errors.find(isCancelled) ?? errors[0] ?? null };
}

/** @param {Result[]} results @returns {Result | null} */
function merged(results) {
  const [first] = results;
  if (!first || results.length === 1) return first ?? null;
  const executing = results.map((each) => each.timings.executing);
  return {
    ...first,
    outputs: results.flatMap((each) => each.outputs.map((output) => ({ ...output, prompt_id: each.prompt_id }))),
    seeds: results.map((each) => each.seed),
    prompt_ids: results.map((each) => each.prompt_id),
    warnings: [...new Set(results.flatMap((each) => each.warnings))],
    timings: { ...first.timings, executing: executing.reduce((sum, each) => (sum ?? 0) + (each ?? 0), 0) },
  };
}
