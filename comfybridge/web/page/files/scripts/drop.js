/** Files dropped onto the page: a workflow becomes a form, a picture without one an input of the present form. */

import { ApiError, api } from "./api.js";
import { parseExactly } from "./exact_json.js";
import { sizeText } from "./sizes.js";

/**
 * @typedef {import("./types.js").Workflow} Workflow
 * @typedef {import("./types.js").Policy} Policy
 * @typedef {import("./form/form.js").WorkflowForm} WorkflowForm
 */

/**
 * Open a file: as a workflow if it holds one, else in the form.
 *
 * @param {File} file
 * @param {WorkflowForm | null} form the present one.
 * @param {Policy} policy
 * @returns {Promise<Workflow | null>} null if the form took the file.
 * @throws {Error} what can't be done with the file, as a sentence.
 */
export async function openDropped(file, form, policy) {
  if (!policy.graphs) {
    if (form?.takeFile(file)) return null;
    throw new Error(`${nameOf(file)} has no place in this workflow, and this API key may not run workflows of its own.`);
  }
  if (file.size > policy.max_upload_bytes) {
    throw new Error(`${nameOf(file)} has ${sizeText(file.size)}; at most ${sizeText(policy.max_upload_bytes)} can be sent.`);
  }
  try {
    return await readDropped(file);
  } catch (error) {
    const hasNoGraph = error instanceof ApiError && error.status < 500 && error.type !== "invalid_workflow";
    if (hasNoGraph && isMedia(file) && form?.takeFile(file)) return null;
    if (error instanceof ApiError && error.type !== "") throw new Error(whyNot(file, error, hasNoGraph));
    throw error;
  }
}

/**
 * The workflow in a file: JSON, or a picture, video or sound that ComfyUI made.
 *
 * @param {File} file
 * @returns {Promise<Workflow>}
 * @throws {ApiError} if it holds none, or one that can't run.
 */
export async function readDropped(file) {
  const form = new FormData();
  form.append("workflow", file, file.name || "workflow");
  const response = await api("convert", { method: "POST", form });
  const answer = parseExactly(await response.text());
  const properties = answer.parameters ?? {};
  return {
    name: null,
    description: answer.description || nameOf(file),
    parameters: { properties, required: answer.required ?? [] },
    tasks: answer.tasks ?? [],
    presets: {},
    unclear: answer.unclear ?? {},
    models: answer.models ?? [],
    missing_nodes: answer.missing_nodes ?? null,
    mask: answer.mask ?? null,
    graph: answer.prompt,
    warnings: answer.warnings ?? [],
  };
}

/**
 * @param {File} file
 * @param {ApiError} error the bridge's, which speaks of a part of a form.
 * @param {boolean} hasNoGraph whether the file may be something else than a workflow.
 */
function whyNot(file, { message, status }, hasNoGraph) {
  const name = nameOf(file);
  if (hasNoGraph && status === 400 && !/\.json$/i.test(file.name)) {
    return `${name} holds no workflow${isMedia(file) ? ", and the form has no place for it" : ""}.`;
  }
  const said = message.replace(/^The file in workflow\b/, name);
  return said.includes(name) ? said : `${name} can't be opened: ${said}`;
}

/** @param {File} file */
function nameOf(file) {
  return file.name || "The file";
}

/** @param {File} file */
function isMedia(file) {
  return /^(image|video|audio)\//.test(file.type);
}
