/** "Paint a mask": the button that lets a mask be painted over a picture. */

import { announce } from "../announce.js";
import { el } from "../element.js";
import { Drawing } from "../mask/drawing.js";
import { measured } from "../mask/orientation.js";
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
    /** @type {{file: File, url: string} | null} the picture that was painted over. */
    this.picture = null;
    this.button = el("button", { type: "button", on: { click: () => void this.paint() } });
    target.buttons.prepend(this.button);
    if (target !== image) target.element.classList.add("is-mask");
    target.element.addEventListener("change", () => this.show());
    image.element.addEventListener("change", () => void this.onImage());
    this.show();
  }

  show() {
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
    this.button.disabled = true;
    try {
      const paintMask = await painter();
      if (!this.picture) this.picture = { file, url: URL.createObjectURL(file) };
      const made = await paintMask(this.picture.file, this.picture.url, this.drawing, this.form);
      if (!made) return;
      this.made = made;
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
    const { file, url } = this.image;
    const before = this.picture;
    if (!before || !file || file === before.file || file === this.made) return;
    this.picture = null;
    const sizes = await Promise.allSettled([measured(before.url), measured(url)]);
    URL.revokeObjectURL(before.url);
    const [old, now] = sizes.map((each) => (each.status === "fulfilled" ? each.value : null));
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
