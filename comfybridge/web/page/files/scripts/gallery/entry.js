/** What the gallery keeps of a run: all but the files. */

import { USUAL_FIELDS, requestOf } from "../request.js";

/**
 * @typedef {import("../run/run.js").Run} Run
 * @typedef {import("../request.js").SentRequest} SentRequest
 * @typedef {import("../outputs.js").Result} Result
 */

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} created as ISO 8601.
 * @property {string | null} workflow the template's name; null for a graph.
 * @property {string} [label] what people call the graph; "" for the bridge's workflows.
 * @property {string} title
 * @property {string[]} promptIds
 * @property {Record<string, any>} body as it was sent.
 * @property {Record<string, string>} fileNames by parameter, the names of the files that were sent.
 * @property {string} key the `Idempotency-Key`.
 * @property {string | null} deadline when the bridge gives up, as ISO 8601.
 * @property {import("../run/run.js").RunState} state
 * @property {{type: string, message: string} | null} error
 * @property {string} note
 * @property {number | bigint | null} seed
 * @property {(number | bigint | null)[]} seeds of each prompt.
 * @property {Record<string, any>} params
 * @property {Result["timings"] | null} timings
 * @property {string[]} warnings
 */

const LONGEST_TITLE = 200;

/**
 * The entry of a run, as far as that has come.
 *
 * @param {Run} run
 * @param {Entry} [earlier] the entry that it has already.
 * @returns {Entry}
 */
export function entryOf(run, earlier) {
  const { request, result } = run;
  const error = /** @type {any} */ (run.error);
  const sent = { ...request.body.params, ...fieldsOf(request.body) };
  const params = result?.params ?? earlier?.params ?? sent;
  const seed = result?.seed ?? earlier?.seed ?? null;
  return {
    id: earlier?.id ?? request.key,
    created: earlier?.created ?? run.created.toISOString(),
    workflow: request.workflowName,
    label: request.label,
    title: titleOf(params, request.workflowName ?? request.label),
    promptIds: run.promptIds,
    body: request.body,
    fileNames: Object.fromEntries(request.files.map(({ name, file }) => [name, file.name])),
    key: request.key,
    deadline: run.deadline.at?.toISOString() ?? earlier?.deadline ?? null,
    state: run.state,
    error: error && { type: error.type ?? "", message: error.message },
    note: run.note,
    seed,
    seeds: result ? (result.seeds ?? [result.seed]) : (earlier?.seeds ?? []),
    params,
    timings: result?.timings ?? earlier?.timings ?? null,
    warnings: result?.warnings ?? earlier?.warnings ?? [],
  };
}

/**
 * The request of an entry. Its files are empty: only their names are known.
 *
 * @param {Entry} entry
 * @returns {SentRequest}
 */
export function requestOfEntry(entry) {
  const files = Object.entries(entry.fileNames).map(([name, fileName]) => ({ name, file: new File([], fileName) }));
  return requestOf(entry.body, { files, key: entry.key, workflowName: entry.workflow, label: entry.label });
}

/**
 * What a form needs to hold the entry's request again, with the seed that was used.
 *
 * @param {Entry} entry
 * @param {SentRequest["files"]} [files] those that the page has still.
 * @returns {import("../types.js").Content}
 */
export function contentOf(entry, files = []) {
  const { body, seed } = entry;
  const params = { ...body.params, ...fieldsOf(body), ...(seed === null ? {} : { seed }) };
  const chosen = Object.fromEntries(files.map(({ name, file }) => [name, file]));
  return { params, files: chosen, n: body.n, timeout: body.timeout, output: body.output, presets: body.presets };
}

/** @param {Entry} entry whether it waits or runs, as far as is known. */
export function isUnfinished({ state }) {
  return !["succeeded", "failed", "cancelled"].includes(state);
}

/** @param {Record<string, any>} body */
function fieldsOf(body) {
  return Object.fromEntries(USUAL_FIELDS.filter((name) => name in body).map((name) => [name, body[name]]));
}

/** @param {Record<string, any>} params @param {string} workflow what people call it; "" if nothing. */
function titleOf(params, workflow) {
  const prompt = typeof params.prompt === "string" ? params.prompt.trim() : "";
  return prompt.slice(0, LONGEST_TITLE) || workflow || "A workflow of your own";
}
