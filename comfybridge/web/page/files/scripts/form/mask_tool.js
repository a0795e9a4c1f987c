/** "Paint a mask": the button that lets a mask be painted over a picture. */

import { announce } from "../announce.js";
import { el } from "../element.js";
import { Drawing } from "../mask/drawing.js";
import { measured } from "../mask/orientation.js";
import { FileField } from "./file_field.js";
import { isMask, pictureOf } from "./masks.js";

/** @typedef {import("./field.js").Field} Field */

/**
 * What was painted for which file: another form, to which the file is carried over, goes on with it.
 *
 * @type {WeakMap<File, {drawing: Drawing, picture: File, form: string}>}
 */
const MADE = new WeakMap();
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
    if (!(mask instanceof FileField) || !(image instanceof FileField)) continue;
    const isInverted = mask.name === "mask" && INVERTED.includes(form ?? "");
    new MaskTool(mask, image, isInverted ? "inverted" : "mask");
  }
  const image = fields.get("image");
  if (form === "in_image" && image instanceof FileField) new MaskTool(image, image, "masked");
}

class MaskTool {
  /**
   * @param {FileField} target takes what is made.
   * @param {FileField} image what is painted over; the same, if the mask becomes the picture's transparency.
   * @param {"mask" | "inverted" | "masked"} form what is made.
   */
  constructor(target, image, form) {
    this.target = target;
    this.image = image;
    this.form = form;
    this.drawing = new Drawing();
    /** @type {File | null} what was made. */
    this.made = null;
    /** @type {File | null} the picture that was painted over. */
    this.picture = null;
    this.button = el("button", { type: "button", on: { click: () => void this.paint() } });
    target.buttons.prepend(this.button);
    if (target !== image) target.element.classList.add("is-mask");
    target.element.addEventListener("change", () => this.show());
    /** Done when it is known whether the mask fits the present picture. */
    this.settled = Promise.resolve();
    image.element.addEventListener("change", () => (this.settled = this.onImage()));
    this.show();
  }

  show() {
    const known = this.target.file && MADE.get(this.target.file);
    if (known && known.form === this.form) {
      this.made = this.target.file;
      this.drawing = known.drawing;
      this.picture = known.picture;
    }
    this.button.textContent = this.isMade ? "Change the mask" : "Paint a mask";
  }

  get isMade() {
    return this.made !== null && this.target.file === this.made;
  }

  async paint() {
    const { file } = this.image;
    if (!file) {
      this.target.showError(`Choose a file for ${this.image.label} first; the mask is painted over it.`);
      return;
    }
    this.target.clearError();
    this.button.disabled = true;
    try {
      const paintMask = await painter();
      await this.settled;
      this.picture ??= file;
      const made = await withUrl(this.picture, (url) => paintMask(this.picture ?? file, url, this.drawing, this.form));
      if (!made) return;
      MADE.set(made, { drawing: this.drawing, picture: this.picture, form: this.form });
      this.target.setFile(made);
      announce(`${this.target.label}: the painted mask is chosen.`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.target.showError(`${reason} Choose ${this.form === "masked" ? "another picture" : "the mask as a file"}.`);
    } finally {
      this.button.disabled = false;
      this.button.focus();
    }
  }

  /** A painted mask fits another picture only if that has the same size. */
  async onImage() {
    const { file } = this.image;
    const before = this.picture;
    if (!before || !file || file === before || file === this.made) return;
    const [old, now] = await Promise.all([before, file].map((each) => withUrl(each, measured).catch(() => null)));
    if (this.image.file !== file || this.picture !== before) return; // one of them has been changed once more
    this.picture = null;
    const isSame = old && now && old.width === now.width && old.height === now.height;
    if (this.target !== this.image && isSame) return;
    this.drawing = new Drawing();
    if (this.isMade) {
      this.target.setFile(null);
      announce(`${this.target.label}: the painted mask is removed, as the picture has another size.`);
    }
    this.made = null;
    this.show();
  }
}

/** Few people paint, so what it takes is loaded when they do. */
async function painter() {
  try {
    return (await import("../mask/painter.js")).paintMask;
  } catch {
    throw new Error("The painter cannot be loaded; reload the page if the bridge answers.");
  }
}

/**
 * @template Result
 * @param {File} file
 * @param {(url: string) => Promise<Result>} use
 * @returns {Promise<Result>}
 */
async function withUrl(file, use) {
  const url = URL.createObjectURL(file);
  try {
    return await use(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}
