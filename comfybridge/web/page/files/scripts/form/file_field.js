/** A picture, video or sound: dropped, pasted, chosen, or named as ComfyUI has it. */

import { announce } from "../announce.js";
import { tellOfOthers } from "../dropping.js";
import { el } from "../element.js";
import { Field } from "./field.js";
import { sizeText } from "../sizes.js";
import { acceptOf, fileKindOf, mayBe, wordsOf } from "./file_kinds.js";
import { listOf } from "./list_field.js";
import { previewOf } from "./preview.js";
import { TextField } from "./text_field.js";

export class FileField extends Field {
  /**
   * @param {string} name
   * @param {import("../types.js").Parameter} parameter
   * @param {import("./field.js").FieldOptions & {policy: import("../types.js").Policy}} options
   */
  constructor(name, parameter, options) {
    super(name, parameter, options);
    this.kind = fileKindOf(parameter.format);
    this.most = options.policy.max_upload_bytes;
    /** @type {File | null} */
    this.file = null;
    this.url = "";
    this.input = el("input", { type: "file", class: "file-input", accept: acceptOf(this.kind) });
    this.input.setAttribute("aria-labelledby", `${this.id}-label`);
    this.chosen = el("div", { class: "file-shown", hidden: true });
    this.buttons = el("div", { class: "file-buttons" }, this.chooseButton());
    this.named = this.nameField();
    const hint = el("span", { class: "file-hint", text: `Drop or paste ${wordsOf(this.kind)} here, or` });
    this.empty = el("div", { class: "file-empty" }, hint);
    const zone = el("div", { class: "drop-zone" }, this.chosen, this.empty, this.buttons);
    this.element.classList.add("file-field", "is-wide");
    this.show(this.input, zone, this.named.element);
    zone.prepend(this.input);
    this.input.addEventListener("change", (event) => {
      event.stopPropagation(); // `setFile` tells of it
      this.take(this.input.files?.[0]);
      this.input.value = ""; // the same file may be chosen again
    });
    this.acceptDrops();
    this.reset();
  }

  chooseButton() {
    // a label opens the dialog of its input by itself; the input has the focus and the name
    const button = el("label", { class: "button file-button", for: this.id, text: "Choose a file" });
    return button;
  }

  /** @returns {Field} for the name of a file that ComfyUI has. */
  nameField() {
    const { default: usual, enum: choices } = this.parameter;
    const common = { id: `${this.id}-name`, subject: this.label };
    if (!choices) {
      const label = "Or the name of a file in ComfyUI's input folder";
      return new TextField(`${this.name}-name`, { default: usual }, { ...common, label });
    }
    const options = { ...common, label: "Or a file that ComfyUI has", choices, none: "None" };
    const field = listOf(`${this.name}-name`, { default: usual }, options);
    field.element.hidden = choices.length === 0;
    return field;
  }

  /** @override @returns {File | string | undefined} */
  read() {
    return this.file ?? /** @type {string | undefined} */ (this.named.read());
  }

  /** @override @param {unknown} value */
  write(value) {
    if (value instanceof File) {
      this.setFile(value);
      return;
    }
    this.setFile(null);
    this.named.write(value);
  }

  /** @returns {boolean} whether a file may be put here without another being lost. */
  get isEmpty() {
    return this.file === null;
  }

  /**
   * Take a file that somebody chose, or say why not.
   *
   * @param {File | undefined} file
   * @returns {boolean} whether it was taken.
   */
  take(file) {
    if (!file) return false;
    const problem = this.problemOf(file);
    if (problem) {
      this.showError(problem);
      announce(problem);
      return false;
    }
    this.setFile(file);
    announce(`${this.label}: ${file.name || "the pasted file"} is chosen.`);
    return true;
  }

  /** @param {File} file @returns {string} a sentence; empty if there is no problem. */
  problemOf(file) {
    const name = file.name || "The file";
    if (!mayBe(this.kind, file)) return `${name} is ${file.type}; ${this.label} takes ${wordsOf(this.kind)}.`;
    if (file.size === 0) return `${name} is empty.`;
    if (this.most && file.size > this.most) {
      return `${name} has ${sizeText(file.size)}; at most ${sizeText(this.most)} can be sent.`;
    }
    return "";
  }

  /** @param {File | null} file */
  setFile(file) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.file = file;
    this.url = file ? URL.createObjectURL(file) : "";
    this.chosen.replaceChildren(...(file ? [previewOf(file, this.url), this.removeButton(file)] : []));
    this.chosen.hidden = file === null;
    this.empty.hidden = file !== null;
    this.named.element.hidden = file !== null || this.parameter.enum?.length === 0;
    this.clearError();
    this.element.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** @param {File} file */
  removeButton(file) {
    const remove = () => {
      this.setFile(null);
      this.input.focus();
      announce(`${this.label}: ${file.name || "the file"} is removed.`);
    };
    const name = `Remove ${file.name || "the file"} from ${this.label}`;
    return el("button", { type: "button", class: "file-remove", "aria-label": name, text: "Remove", on: { click: remove } });
  }

  acceptDrops() {
    const over = (/** @type {boolean} */ isOver) => this.element.classList.toggle("is-over", isOver);
    this.element.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      over(true);
    });
    this.element.addEventListener("dragleave", (event) => {
      if (!(event.relatedTarget instanceof Node && this.element.contains(event.relatedTarget))) over(false);
    });
    this.element.addEventListener("drop", (event) => {
      over(false);
      const files = event.dataTransfer?.files ?? [];
      if (!files[0]) return;
      event.preventDefault(); // which also tells the page that the file has been taken
      if (this.take(files[0])) tellOfOthers(files);
    });
  }
}
