/** Shows what a workflow has made. */

import { el } from "./element.js";
import { sizeText } from "./sizes.js";

/**
 * One output, as the bridge's answers have it.
 *
 * @typedef {object} Output
 * @property {string} node_id
 * @property {"image" | "video" | "audio" | "3d" | "text" | "file"} kind
 * @property {string} filename
 * @property {string} media_type
 * @property {number | null} width
 * @property {number | null} height
 * @property {number | null} bytes
 * @property {string} [url] a link to the bridge, or a data: URI of what cannot be fetched again.
 * @property {string} [text]
 * @property {string} [prompt_id]
 */

/**
 * The answer of `/generate` and `/results/ID`.
 *
 * @typedef {object} Result
 * @property {string} prompt_id
 * @property {string[]} [prompt_ids]
 * @property {Output[]} outputs
 * @property {number | bigint | null} seed
 * @property {(number | bigint | null)[]} [seeds]
 * @property {Record<string, any>} params
 * @property {string[]} warnings
 * @property {{queued: number | null, executing: number | null, total: number | null}} timings
 */

/** @param {Result} result @returns {string[]} the ids of the prompts that it has outputs of; others of the request may have failed. */
export function promptIdsOf({ prompt_id, prompt_ids }) {
  return prompt_ids ?? [prompt_id];
}

// of the kind "image", those that browsers show
const SHOWN_IMAGES = /^image\/(png|jpeg|webp|gif|bmp|avif|svg\+xml)/;

/**
 * @param {Output} output
 * @param {{alt?: string, onGone?: () => boolean | void}} [options] alt: what a picture shows. onGone: called if its file can't
 *   be fetched or shown; true if it is shown anew.
 * @returns {HTMLElement}
 */
export function showOutput(output, { alt = "", onGone } = {}) {
  if (output.text !== undefined) return el("pre", { class: "output-text", tabindex: "0", text: output.text });
  const shown = shownAsMedia(output, alt);
  if (!shown) return asFile(output, "");
  const media = shown.querySelector("img") ?? shown;
  media.addEventListener("error", () => onGone?.() || shown.replaceWith(asFile(output, "This browser can't show it.")));
  return shown;
}

/**
 * A link begins with the address that the bridge believes to have. The page knows better: it may have come through a proxy that
 * adds a path, or another name, of which the bridge was not told.
 *
 * @param {Output} output
 * @returns {string}
 */
function addressOf({ url = "" }) {
  const file = /^https?:.*?\/(files\/[^/?#]+\/[^/?#]*)$/.exec(url);
  return file?.[1] ? new URL(file[1], document.baseURI).href : url;
}

/** @param {Output} output @param {string} alt @returns {HTMLElement | null} null if browsers show no such files. */
function shownAsMedia(output, alt) {
  const properties = { class: "output", src: addressOf(output) };
  const played = { ...properties, controls: true, preload: "metadata", "aria-label": alt };
  if (output.kind === "video") return el("video", played);
  if (output.kind === "audio") return el("audio", played);
  if (output.kind !== "image" || !SHOWN_IMAGES.test(output.media_type)) return null;
  const { width, height } = output;
  const image = el("img", { ...properties, alt, width, height, loading: "lazy", decoding: "async" });
  if (isEmbedded(output)) return el("span", { class: "output-link" }, image); // browsers open no data: URIs as pages
  return el("a", { href: addressOf(output), target: "_blank", rel: "noreferrer", class: "output-link" }, image);
}

/** @param {Output} output @param {string} why @returns {HTMLElement} */
function asFile(output, why) {
  return el("p", { class: "output-file" }, downloadLink(output), ` ${detailsOf(output)} `, why);
}

/** @param {Output} output @param {string} [label] @returns {HTMLElement} */
export function downloadLink(output, label = output.filename || "file") {
  return el("a", { href: addressOf(output), download: output.filename || "", rel: "noreferrer", text: label });
}

/** @param {Output} output whether its bytes are in the answer only, and cannot be fetched again. */
export function isEmbedded(output) {
  return output.url?.startsWith("data:") ?? false;
}

/** @param {Output} output @returns {string} such as "(GLB, 1.2 MB)". */
function detailsOf(output) {
  const ending = output.filename.split(".").pop()?.toUpperCase() ?? "";
  const size = output.bytes === null ? "" : sizeText(output.bytes);
  return `(${[ending, size].filter(Boolean).join(", ")})`;
}
