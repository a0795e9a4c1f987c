/** Calls the bridge. */

import { parseExactly } from "./exact_json.js";
import { currentKey, obtainKey } from "./key.js";
import { unreadableIn } from "./readable.js";

const UNAUTHORIZED = 401;
/** What it means that a proxy answers in place of the bridge. */
const OF_PROXIES = new Map([
  [403, "A proxy before the bridge does not let this request pass (HTTP 403)."],
  [413, "A proxy before the bridge lets no request pass that is as large as this one (HTTP 413)."],
]);

/**
 * What an error's JSON says of it.
 *
 * @typedef {object} ErrorDetails
 * @property {number} status of HTTP; 0 if it came within a stream.
 * @property {string} type the bridge's name for it; "" if the answer is not the bridge's.
 * @property {string | null} field the field or parameter that is wrong.
 * @property {string | null} promptId
 * @property {number | null} retryAfter seconds
 * @property {Record<string, any> | null} node the node that failed.
 * @property {Record<string, any> | null} nodeErrors ComfyUI's own.
 */

/** The bridge refused, or failed. Its message is a sentence for people. */
export class ApiError extends Error {
  /** @param {string} message @param {ErrorDetails} details */
  constructor(message, details) {
    super(message);
    this.name = "ApiError";
    this.status = details.status;
    this.type = details.type;
    this.field = details.field;
    this.promptId = details.promptId;
    this.retryAfter = details.retryAfter;
    this.node = details.node;
    this.nodeErrors = details.nodeErrors;
  }
}

/** No answer came, or it was cut off. */
export class NetworkError extends Error {
  constructor(message = "The bridge does not answer.") {
    super(message);
    this.name = "NetworkError";
  }
}

/**
 * @typedef {import("./readable.js").UnreadableFile} UnreadableFile
 *
 * @typedef {object} Call
 * @property {string} [method]
 * @property {any} [json] the body: a value, or a text that is JSON already.
 * @property {FormData} [form] the body, if it has files.
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {string} [accept]
 */

/**
 * Call the bridge; where it wants an API key, ask for one and call again.
 *
 * @param {string} path relative to the page, such as "generate": a proxy may have put the bridge below a path.
 * @param {Call} [call]
 * @returns {Promise<Response>} an answer that is no error.
 * @throws {ApiError | NetworkError | UnreadableFile} or the signal's reason.
 */
export async function api(path, call = {}) {
  for (;;) {
    const key = currentKey();
    const response = await send(path, call, key);
    if (response.ok) return response;
    const error = await errorIn(response);
    if (response.status !== UNAUTHORIZED || !(await obtainKey(key, call.signal))) throw error;
  }
}

/**
 * The JSON at an address. Integers that a number cannot hold are BigInts.
 *
 * @param {string} path
 * @param {Call} [call]
 * @returns {Promise<any>}
 * @throws {ApiError | NetworkError} or the signal's reason.
 */
export async function getJson(path, call = {}) {
  const response = await api(path, call);
  try {
    return parseExactly(await response.text());
  } catch (error) {
    throw error instanceof SyntaxError ? new NetworkError("The answer is not the bridge's.") : lost(error, call.signal);
  }
}

/** @param {string} path @param {Call} call @param {string | null} key @returns {Promise<Response>} */
async function send(path, { method = "GET", json, form, headers = {}, signal, accept = "application/json" }, key) {
  const sent = new Headers({ Accept: accept, ...headers });
  if (key !== null) sent.set("Authorization", `Bearer ${key}`);
  if (json !== undefined) sent.set("Content-Type", "application/json");
  const body = json === undefined ? form : typeof json === "string" ? json : JSON.stringify(json);
  const unreadable = form && (await unreadableIn(form)); // which `fetch` would not tell from a lost connection
  if (unreadable) throw unreadable;
  try {
    return await fetch(path, { method, headers: sent, body, signal, cache: "no-store" });
  } catch (error) {
    throw lost(error, signal);
  }
}

/** @param {unknown} error @param {AbortSignal} [signal] @returns {unknown} */
function lost(error, signal) {
  if (signal?.aborted) return signal.reason ?? error;
  return error instanceof TypeError ? new NetworkError() : error; // fetch raises a TypeError for all that goes wrong
}

/** @param {Response} response @returns {Promise<ApiError>} */
async function errorIn(response) {
  const text = await response.text().catch(() => "");
  /** @type {any} */
  let body = null;
  try {
    body = parseExactly(text);
  } catch {
    // a proxy's page
  }
  const retryAfter = secondsOf(response.headers.get("Retry-After"));
  return errorOf(body, { status: response.status, retryAfter });
}

/**
 * The error that a JSON tells of: that of an answer, or of an `error` event.
 *
 * @param {any} body
 * @param {{status: number, retryAfter?: number | null}} of
 * @returns {ApiError}
 */
export function errorOf(body, { status, retryAfter = null }) {
  const said = body !== null && typeof body === "object" ? body : {};
  const message = typeof said.error === "string" ? said.error : (OF_PROXIES.get(status) ?? `The bridge cannot be used now: HTTP ${status}.`);
  return new ApiError(message, {
    status,
    type: typeof said.type === "string" ? said.type : "",
    field: said.field ?? null,
    promptId: said.prompt_id ?? null,
    retryAfter,
    node: said.node ?? null,
    nodeErrors: said.node_errors ?? null,
  });
}

/** @param {string | null} header of `Retry-After`: seconds, or a date. @returns {number | null} seconds */
function secondsOf(header) {
  if (header === null) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : null;
}
