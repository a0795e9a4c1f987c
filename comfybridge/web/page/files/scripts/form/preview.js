/** Shows a chosen file: a thumbnail or a player, with its name and size. */

import { el } from "../element.js";
import { sizeText } from "../sizes.js";

/**
 * @param {File} file
 * @param {string} url of the file, for as long as it is shown.
 * @returns {HTMLElement}
 */
export function previewOf(file, url) {
  const text = el("span", { class: "file-size", text: sizeText(file.size) });
  const name = file.name || "Pasted file";
  // what was painted or pasted lies on no disk, and a copied request reads it from there
  const saving = el("a", { class: "file-name", href: url, download: name, title: `Save ${name}`, text: name });
  return el(
    "div",
    { class: "file-chosen" },
    playerOf(file, url, text),
    el("span", { class: "file-text" }, saving, text),
  );
}

/**
 * @param {File} file
 * @param {string} url
 * @param {HTMLElement} text where the measures are told.
 * @returns {HTMLElement | null}
 */
function playerOf(file, url, text) {
  if (file.type.startsWith("video/")) return el("video", { class: "file-player", src: url, controls: true, muted: true });
  if (file.type.startsWith("audio/")) return el("audio", { class: "file-player", src: url, controls: true });
  if (!file.type.startsWith("image/")) return null;
  const picture = el("img", { class: "file-thumb", src: url, alt: "", decoding: "async" });
  picture.addEventListener("load", () => {
    text.textContent = `${picture.naturalWidth} × ${picture.naturalHeight}, ${sizeText(file.size)}`;
  });
  picture.addEventListener("error", () => picture.remove()); // a format that browsers do not show
  return picture;
}
