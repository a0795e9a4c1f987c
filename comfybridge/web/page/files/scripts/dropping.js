/** Files that are dropped anywhere on the page. */

import { alertUser } from "./announce.js";
import { el } from "./element.js";

/**
 * Take dropped files. Fields that take a drop themselves prevent its default action, and are left alone.
 *
 * @param {{text: () => string, take: (files: File[]) => void}} options text: what a drop does, shown while files are
 *   held over the page; empty if it does nothing.
 */
export function takeDrops({ text, take }) {
  const over = el("div", { class: "drop-over", hidden: true, "aria-hidden": "true" });
  document.body.append(over);
  let depth = 0; // each element that is entered or left tells of it
  const end = () => {
    depth = 0;
    over.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    depth++;
    over.textContent = isCovered() ? "" : text();
    over.hidden = over.textContent === "";
  });
  addEventListener("dragleave", (event) => {
    if (holdsFiles(event) && --depth <= 0) end();
  });
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault(); // or the browser leaves the page for the file
    if (event.dataTransfer && isCovered()) event.dataTransfer.dropEffect = "none";
  });
  addEventListener("drop", (event) => {
    end();
    if (event.defaultPrevented || !holdsFiles(event)) return;
    event.preventDefault();
    if (!isCovered()) take([...(event.dataTransfer?.files ?? [])]);
  });
}

/** Say so if only the first of several dropped files is taken. @param {ArrayLike<File>} files */
export function tellOfOthers({ 0: first, length }) {
  if (!first || length < 2) return;
  alertUser(`Only ${first.name} is taken of these ${length} files. Drop the others one by one, each where it belongs.`);
}

/** Whether an open dialog covers the page, which takes nothing meanwhile. */
function isCovered() {
  return document.querySelector("dialog:modal") !== null;
}

/** @param {DragEvent} event */
function holdsFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}
