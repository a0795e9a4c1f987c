/** A dialog in which a mask is painted over a picture. */

import { el } from "../element.js";
import { Brush } from "./brush.js";
import { maskFile, maskedFile } from "./mask_file.js";
import { pictureOf } from "./picture.js";
import { Stage } from "./stage.js";
import { toolsOf } from "./tools.js";

/** @typedef {import("./drawing.js").Drawing} Drawing */

const KEYS =
  "Arrow keys move the brush, with Shift far. Space paints and E erases while held. [ and ] change the size. " +
  "Ctrl+Z undoes.";

/**
 * Paint a mask. The drawing keeps what was painted, even if no file is made of it.
 *
 * @param {File} file the picture.
 * @param {string} url of the picture.
 * @param {Drawing} drawing
 * @param {"mask" | "inverted" | "masked"} form what is made: a mask that is white where to repaint, one that is black
 *   there, or the picture itself, transparent there.
 * @returns {Promise<File | null>} null if it was called off.
 * @throws {Error} if the browser cannot show the picture.
 */
export async function paintMask(file, url, drawing, form) {
  const picture = await pictureOf(file, url);
  const stage = new Stage(picture, drawing);
  const status = el("p", { class: "mask-status", role: "status" });
  const say = (/** @type {string} */ text) => (status.textContent = text);
  const brush = new Brush(stage);
  brush.addEventListener("change", () => say(placeOf(brush)));
  const tools = toolsOf(brush, stage, say);
  const title = el("h2", { id: "mask-title", text: "Paint what is to be repainted" });
  const help = el("p", { class: "mask-keys", id: "mask-keys", text: KEYS });
  stage.canvas.setAttribute("aria-describedby", help.id);
  const cancel = el("button", { type: "button", text: "Cancel" });
  const use = el("button", { type: "button", class: "primary", text: "Use this mask" });
  const dialog = el(
    "dialog",
    { class: "mask-dialog", "aria-labelledby": title.id },
    title,
    tools.element,
    stage.element,
    help,
    el("div", { class: "mask-end" }, status, cancel, use),
  );
  dialog.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    if (event.shiftKey) tools.redo();
    else tools.undo();
  });
  document.body.append(dialog);
  dialog.showModal();
  stage.fit();
  stage.canvas.focus();
  say(placeOf(brush));
  const name = nameOf(file, form === "masked" ? "masked" : "mask");
  const options = { drawing, picture, name, onProgress: (/** @type {number} */ share) => say(progress(share)) };
  const mask = await new Promise((/** @type {(mask: File | null) => void} */ resolve) => {
    dialog.addEventListener("close", () => resolve(null));
    cancel.addEventListener("click", () => dialog.close());
    use.addEventListener("click", async () => {
      if (!drawing.stepsSinceClear().length) {
        say("Nothing is painted yet.");
        return;
      }
      use.disabled = true;
      try {
        resolve(await (form === "masked" ? maskedFile(options) : maskFile(options, form === "inverted")));
      } catch (error) {
        say(error instanceof Error ? error.message : String(error));
        use.disabled = false;
      }
    });
  });
  stage.close();
  dialog.remove();
  return mask;
}

/** @param {Brush} brush */
function placeOf(brush) {
  const { width, height } = brush.stage.picture;
  const tool = brush.erases ? "Eraser" : "Brush";
  return `${tool} of ${brush.size} pixels at ${Math.round(brush.x)}, ${Math.round(brush.y)} of ${width} × ${height}`;
}

/** @param {number} share */
function progress(share) {
  return `Making the mask: ${Math.round(share * 100)} %`;
}

/** @param {File} file @param {string} what */
function nameOf(file, what) {
  return `${(file.name || "picture").replace(/\.[^.]*$/, "")}-${what}.png`;
}
