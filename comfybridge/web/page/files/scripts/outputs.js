/** Shows what a workflow has made. */

import { el } from "./element.js";

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

// of the kind "image", those that browsers show
const SHOWN_IMAGES = /^image\/(png|jpeg|webp|gif|bmp|avif|svg\+xml)/;

/**
 * @param {Output} output
 * @param {{alt?: string, onGone?: () => void}} [options] alt: what a picture shows. onGone: called if its file can't
 *   be fetched.
 * @returns {HTMLElement}
 */
export function showOutput(output, { alt = "", onGone } = {}) {
  if (output.text !== undefined) return el("pre", { class: "output-text", tabindex: "0", text: output.text });
  const on = { error: () => onGone?.() };
  const src = output.url ?? "";
  if (output.kind === "image" && SHOWN_IMAGES.test(output.media_type)) return showImage(output, alt, on);
  if (output.kind === "video") {
    return el("video", { class: "output", controls: true, preload: "metadata", src, "aria-label": alt, on });
  }
  if (output.kind === "audio") {
    return el("audio", { class: "output", controls: true, preload: "metadata", src, "aria-label": alt, on });
  }
  return el("p", { class: "output-file" }, downloadLink(output), ` ${detailsOf(output)}`);
}

/** @param {Output} output @param {string} alt @param {{error: () => void}} on */
function showImage(output, alt, on) {
  /** @type {Record<string, any>} */
  const properties = { class: "output", src: output.url ?? "", alt, loading: "lazy", decoding: "async", on };
  if (output.width && output.height) Object.assign(properties, { width: output.width, height: output.height });
  const image = el("img", properties);
  if (isEmbedded(output)) return image; // browsers do not open data: URIs as pages
  return el("a", { href: output.url ?? "", target: "_blank", rel: "noreferrer", class: "output-link" }, image);
}

/** @param {Output} output @param {string} [label] @returns {HTMLElement} */
export function downloadLink(output, label = output.filename || "file") {
  return el("a", { href: output.url ?? "", download: output.filename || "", rel: "noreferrer", text: label });
}

/** @param {Output} output whether its bytes are in the answer only, and cannot be fetched again. */
export function isEmbedded(output) {
  return output.url?.startsWith("data:") ?? false;
}

/** @param {Output} output @returns {string} such as "(GLB, 1.2 MB)". */
function detailsOf(output) {
  const ending = output.filename.split(".").pop()?.toUpperCase() ?? "";
  const size = output.bytes === null ? "" : sizeOf(output.bytes);
  return `(${[ending, size].filter(Boolean).join(", ")})`;
}

/** @param {number} bytes @returns {string} */
export function sizeOf(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const kilobytes = bytes / 1000;
  return kilobytes < 1000 ? `${Math.ceil(kilobytes)} kB` : `${(kilobytes / 1000).toFixed(1)} MB`;
}
