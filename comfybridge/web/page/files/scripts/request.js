/** Makes the request for `POST /generate` from what a form holds. */

import { api } from "./api.js";
import { writeExactly } from "./exact_json.js";

/**
 * @typedef {import("./types.js").Workflow} Workflow
 * @typedef {import("./types.js").Content} Content
 */

/**
 * A request as it is sent.
 *
 * @typedef {object} SentRequest
 * @property {Record<string, any>} body the JSON; integers that a number cannot hold are BigInts.
 * @property {string} bodyText the JSON as it is sent.
 * @property {{name: string, file: File}[]} files each with the parameter that it is for.
 * @property {string} key the `Idempotency-Key`.
 * @property {string | null} workflowName null for a graph of one's own.
 * @property {string} label what people call that graph; "" for the bridge's workflows.
 */

/** The parameters that are fields of the body; the others go into `params`. */
export const USUAL_FIELDS = [
  "prompt", "negative_prompt", "seed", "steps", "cfg", "width", "height", "batch_size", "model", "sampler_name",
  "scheduler", "denoise",
]; // prettier-ignore

/**
 * @param {Workflow} workflow
 * @param {Content} content
 * @returns {SentRequest}
 */
export function makeRequest(workflow, content) {
  /** @type {Record<string, any>} */
  const body = { workflow: workflow.graph ?? workflow.name };
  /** @type {Record<string, any>} */
  const params = {};
  for (const [name, value] of Object.entries(content.params)) {
    (USUAL_FIELDS.includes(name) ? body : params)[name] = value;
  }
  if (Object.keys(params).length) body.params = params;
  if (Object.keys(content.presets ?? {}).length) body.presets = content.presets;
  if ((content.n ?? 1) > 1) body.n = content.n;
  if (content.timeout !== undefined) body.timeout = content.timeout;
  body.output = { ...content.output, links: true };
  const files = Object.entries(content.files).map(([name, file]) => ({ name, file }));
  const isOwn = workflow.graph !== undefined;
  return requestOf(body, { files, workflowName: isOwn ? null : workflow.name, label: isOwn ? workflow.description : "" });
}

/**
 * A request with a given body.
 *
 * @param {Record<string, any>} body
 * @param {{files?: {name: string, file: File}[], key?: string, workflowName?: string | null, label?: string}} [others]
 * @returns {SentRequest}
 */
export function requestOf(body, { files = [], key = newKey(), workflowName = null, label = "" } = {}) {
  return { body, bodyText: writeExactly(body), files, key, workflowName, label };
}

/**
 * Send a request, or repeat it.
 *
 * @param {SentRequest} request
 * @param {{timeout?: number, signal?: AbortSignal}} [options] timeout: seconds, in place of the request's own; the
 *   bridge lets a repeated request differ in it.
 * @returns {Promise<Response>} a stream of events.
 */
export function send(request, { timeout, signal } = {}) {
  const text = timeout === undefined ? request.bodyText : writeExactly({ ...request.body, timeout });
  const others = {
    method: "POST",
    headers: { "Idempotency-Key": request.key },
    accept: "text/event-stream",
    signal,
  };
  if (!request.files.length) return api("generate", { ...others, json: text });
  const form = new FormData();
  form.append("request", text);
  for (const { name, file } of request.files) form.append(name, file, file.name);
  return api("generate", { ...others, form });
}

/** @returns {string} not `crypto.randomUUID`, which pages have over https and on loopback only. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
