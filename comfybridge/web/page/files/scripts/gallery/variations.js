/** Requests that differ from an earlier one in their seeds only. */

import { requestOf } from "../request.js";

/**
 * @typedef {import("../request.js").SentRequest} SentRequest
 * @typedef {import("../types.js").Policy} Policy
 */

const COUNT = 4;
const SEED_BITS = 64; // after the highest seed comes 0

/**
 * Requests for pictures with the seeds that follow those of an earlier request: one, if the policy allows that many
 * prompts in one, or several.
 *
 * @param {SentRequest} request the earlier one, with its files.
 * @param {(number | bigint | null)[]} seeds those that it had.
 * @param {Policy} policy
 * @returns {SentRequest[]} none if the workflow has no seed.
 */
export function variationsOf(request, seeds, policy) {
  const last = seeds[seeds.length - 1];
  if (last === null || last === undefined) return [];
  const batch = Number(request.body.batch_size ?? 1) || 1;
  const most = Math.min(COUNT, policy.max_n, Math.floor((policy.max_batch_size ?? Infinity) / batch));
  const size = Math.max(1, most);
  const requests = [];
  for (let at = 0; at < COUNT; at += size) {
    const n = Math.min(size, COUNT - at);
    const seed = plainOf(BigInt.asUintN(SEED_BITS, BigInt(last) + BigInt(at + 1)));
    const { n: _, ...others } = request.body;
    const params = withoutSeed(others.params);
    const body = { ...others, ...(params && { params }), seed, ...(n > 1 && { n }) };
    requests.push(requestOf(body, { files: request.files, workflowName: request.workflowName, label: request.label }));
  }
  return requests;
}

/** @param {Record<string, any> | undefined} params */
function withoutSeed(params) {
  if (!params) return undefined;
  const { seed: _, ...others } = params;
  return others;
}

/** @param {bigint} seed @returns {number | bigint} */
function plainOf(seed) {
  return seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : seed;
}
