/** Saves the outputs of an entry as files. */

import { api } from "../api.js";
import { el } from "../element.js";
import { downloadLink, isEmbedded, promptIdsOf } from "../outputs.js";

/**
 * @typedef {import("../outputs.js").Output} Output
 * @typedef {import("../outputs.js").Result} Result
 */

/**
 * The link or the button that saves all files of a result; null if it has none.
 *
 * @param {Result} result
 * @param {(sentence: string) => void} onError
 * @returns {HTMLElement | null}
 */
export function downloadControl(result, onError) {
  const files = result.outputs.filter((output) => output.url);
  const [first] = files;
  if (!first) return null;
  if (files.length === 1) {
    const link = downloadLink(first, "Download");
    link.classList.add("button");
    return link;
  }
  const save = () =>
    saveAll(promptIdsOf(result), files).catch((error) => onError(`The files could not be saved: ${error.message}`));
  return el("button", { type: "button", text: "Download all", on: { click: save } });
}

/** @param {string[]} promptIds @param {Output[]} files */
async function saveAll(promptIds, files) {
  if (files.some(isEmbedded)) {
    for (const output of files) downloadLink(output).click(); // the bridge no longer has them
    return;
  }
  for (const id of promptIds) {
    const response = await api(`results/${encodeURIComponent(id)}`, { accept: "application/zip" });
    const url = URL.createObjectURL(await response.blob());
    el("a", { href: url, download: `${id}.zip` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser may ask where to save it first
  }
}
