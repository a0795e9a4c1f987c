/** The smallest request for a workflow, to copy. */

import { announce } from "../announce.js";
import { el } from "../element.js";

/**
 * @typedef {import("../types.js").Workflow} Workflow
 * @typedef {import("../types.js").Policy} Policy
 */

const PROMPT = "a lighthouse at dusk";
/** @type {Record<string, string>} */
const ENDINGS = { image: "png", video: "mp4", audio: "mp3" };

/** @param {Workflow} workflow @param {Policy} policy @returns {HTMLElement} */
export function exampleRequest(workflow, policy) {
  const text = smallestCurl(workflow, policy.needs_key);
  const copied = () => {
    announce("Copied.");
    button.textContent = "Copied";
  };
  const selected = () => getSelection()?.selectAllChildren(shown); // copying is forbidden, as it is without https
  const copy = () => (navigator.clipboard ? navigator.clipboard.writeText(text).then(copied, selected) : selected());
  const button = el("button", { type: "button", text: "Copy", on: { click: copy } });
  const shown = el("pre", { tabindex: "0", role: "region", "aria-label": `A request for ${workflow.name}`, text });
  return el("div", { class: "example" }, shown, button);
}

/** @param {Workflow} workflow @param {boolean} needsKey @returns {string} for a shell. */
function smallestCurl({ name, parameters, tasks }, needsKey) {
  const { properties, required = [] } = parameters;
  const files = required.filter((each) => properties[each]?.format);
  const shown = new Set(required.filter((each) => !files.includes(each)));
  if (properties.prompt) shown.add("prompt");
  /** @type {Record<string, any>} */
  const body = { workflow: name };
  for (const each of shown) body[each] = each === "prompt" ? PROMPT : exampleOf(properties[each] ?? {});
  const makesPictures = tasks.length > 0;
  const base = new URL(".", document.baseURI).href;
  const lines = [`curl --fail-with-body ${makesPictures ? "-o result.png " : ""}${quoted(`${base}generate`)}`];
  if (makesPictures) lines.push("-H 'Accept: image/*'");
  if (needsKey) lines.push('-H "Authorization: Bearer $COMFYBRIDGE_API_KEY"');
  if (!files.length) lines.push(`-d ${quoted(JSON.stringify(body))}`);
  for (const [field, value] of files.length ? Object.entries(body) : []) {
    lines.push(`--form-string ${quoted(`${field}=${value}`)}`);
  }
  for (const each of files) lines.push(`-F ${quoted(`${each}=@${each}.${ENDINGS[properties[each]?.format ?? ""] ?? "bin"}`)}`);
  return lines.join(" \\\n  ");
}

/** @param {import("../types.js").Parameter} parameter */
function exampleOf({ default: given, enum: choices, minimum, type }) {
  if (given !== undefined) return given;
  if (choices?.length) return choices[0];
  if (type === "boolean") return true;
  return type === "string" || type === undefined ? PROMPT : (minimum ?? 1);
}

/** @param {string} word @returns {string} as one word of a shell. */
function quoted(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
