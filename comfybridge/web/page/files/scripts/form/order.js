/** Which parameters stand where in a form: texts first, then files, then what is often changed, then the rest. */

import { kindOf } from "./schema.js";

/** @typedef {import("../types.js").Workflow} Workflow */

/** What people change often, in the order in which they look for it. */
const OFTEN = [
  "model", "lora_name", "lora_strength", "aspect_ratio", "resolution", "size", "megapixels", "width", "height",
  "length", "duration", "fps", "scale_by", "steps", "batch_size", "seed",
]; // prettier-ignore
/** What people leave as it is, mostly. */
const SELDOM = new Set([
  "cfg", "guidance", "sampler_name", "scheduler", "denoise", "clip_skip", "shift", "filename_prefix", "upscale_method",
]);
/** How many fields of names that are not known here are shown at once. */
const MOST_OTHERS = 8;

/**
 * @typedef {object} Groups names of parameters, each in one group.
 * @property {string[]} texts
 * @property {string[]} files
 * @property {string[]} often
 * @property {string[]} seldom
 */

/**
 * @param {Workflow} workflow
 * @returns {Groups}
 */
export function groupsOf(workflow) {
  const { properties, required = [] } = workflow.parameters;
  /** @type {Groups} */
  const groups = { texts: [], files: [], often: [], seldom: [] };
  const others = [];
  for (const [name, parameter] of Object.entries(properties)) {
    if (isPrompt(name) && kindOf(parameter) === "text") groups.texts.push(name);
    else if (kindOf(parameter) === "file") groups.files.push(name);
    else if (OFTEN.includes(name)) groups.often.push(name);
    else if (required.includes(name)) others.unshift(name);
    else if (isSeldom(name) && !(name === "denoise" && Object.hasOwn(properties, "image"))) groups.seldom.push(name);
    else others.push(name);
  }
  groups.texts.sort((one, other) => rankOfPrompt(one) - rankOfPrompt(other));
  groups.often.sort((one, other) => OFTEN.indexOf(one) - OFTEN.indexOf(other));
  const shown = others.filter((name, index) => index < MOST_OTHERS || required.includes(name));
  const seed = groups.often.indexOf("seed"); // it has its own line, so it ends what stands side by side
  groups.often.splice(seed < 0 ? groups.often.length : seed, 0, ...shown);
  groups.seldom.push(...others.filter((name) => !shown.includes(name)));
  if (groups.texts.length + groups.files.length + groups.often.length === 0) {
    groups.often = groups.seldom.splice(0);
  }
  return groups;
}

/** @param {string} name @returns {boolean} whether it is a text that a picture is made after. */
export function isPrompt(name) {
  return /(^|_)prompt(_\d+)?$/.test(name);
}

/** @param {string} name */
function isSeldom(name) {
  return SELDOM.has(name) || name.includes(".");
}

/** @param {string} name */
function rankOfPrompt(name) {
  return name === "prompt" ? 0 : name.includes("negative") ? 2 : 1;
}
