/** "Paint a mask": the button that lets a mask be painted over the picture of another field. */

import { announce } from "../announce.js";
import { el } from "../element.js";
import { Drawing } from "../mask/drawing.js";
import { measured } from "../mask/orientation.js";
import { paintMask } from "../mask/painter.js";
import { FileField } from "./file_field.js";
import { isMask, pictureOf } from "./masks.js";

/** @typedef {import("./field.js").Field} Field */

/** How `workflow.mask` says that white is kept. */
const INVERTED = ["opaque", "black"];

/**
 * Let the masks of a form be painted.
 *
 * @param {Map<string, Field>} fields
 * @param {string | null | undefined} form what the workflow reads as its mask.
 */
export function addMaskTools(fields, form) {
  const files = [...fields.values()].filter((field) => field instanceof FileField && field.kind === "image");
  const images = files.map((field) => field.name).filter((name) => !isMask(name));
  for (const mask of files) {
    const image = isMask(mask.name) ? fields.get(pictureOf(mask.name, images) ?? "") : undefined;
    if (mask instanceof FileField && image instanceof FileField) {
      new MaskTool(mask, image, mask.name === "mask" && INVERTED.includes(form ?? ""));
    }
  }
}

class MaskTool {
  /**
   * @param {FileField} mask
   * @param {FileField} image
   * @param {boolean} isInverted whether the workflow keeps what is white.
   */
  constructor(mask, image, isInverted) {
    this.mask = mask;
    this.image = image;
    this.isInverted = isInverted;
    this.drawing = new Drawing();
    /** @type {File | null} the file that was painted. */
    this.painted = null;
    /** @type {Promise<{width: number, height: number}> | null} of the picture that was painted over. */
    this.measures = null;
    this.button = el("button", { type: "button", class: "button", on: { click: () => void this.paint() } });
    mask.buttons.prepend(this.button);
    mask.element.classList.add("is-mask");
    mask.element.addEventListener("change", () => this.show());
    image.element.addEventListener("change", () => void this.onImage());
    this.show();
  }

  show() {
    this.button.textContent = this.isPainted ? "Change the mask" : "Paint a mask";
  }

  get isPainted() {
    return this.painted !== null && this.mask.file === this.painted;
  }

  async paint() {
    const { file, url } = this.image;
    if (!file) {
      this.mask.showError(`Choose a file for ${this.image.label} first; the mask is painted over it.`);
      return;
    }
    this.button.disabled = true;
    try {
      this.measures ??= measured(url);
      const mask = await paintMask(file, url, this.drawing, { isInverted: this.isInverted });
      if (!mask) return;
      this.painted = mask;
      this.mask.setFile(mask);
      announce(`${this.mask.label}: the painted mask is chosen.`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.mask.showError(`${reason} Choose the mask as a file.`);
    } finally {
      this.button.disabled = false;
      this.button.focus();
    }
  }

  /** A painted mask fits another picture only if that has the same size. */
  async onImage() {
    const { file, url } = this.image;
    if (!file || !this.measures) return;
    const old = this.measures;
    const now = measured(url);
    now.catch(() => undefined);
    this.measures = now;
    const sizes = await Promise.allSettled([old, now]);
    if (this.image.file !== file) return;
    const [before, after] = sizes.map((each) => (each.status === "fulfilled" ? each.value : null));
    if (before && after && before.width === after.width && before.height === after.height) return;
    this.drawing = new Drawing();
    if (this.isPainted) {
      this.mask.setFile(null);
      announce(`${this.mask.label}: the painted mask is removed, as the picture has another size.`);
    }
    this.painted = null;
  }
}
