/** A text: a large box for prompts, a line that grows for others. */

import { el } from "../element.js";
import { Field } from "./field.js";
import { isPrompt } from "./order.js";

export class TextField extends Field {
  /**
   * @param {string} name
   * @param {import("../types.js").Parameter} parameter
   * @param {import("./field.js").FieldOptions} options
   */
  constructor(name, parameter, options) {
    super(name, parameter, options);
    const isLarge = isPrompt(name) || String(parameter.default ?? "").length > 60;
    this.box = el("textarea", {
      class: isLarge ? "text-box is-large" : "text-box",
      rows: isLarge ? (name === "prompt" ? 4 : 2) : 1,
      autocomplete: "off",
      spellcheck: String(isLarge),
    });
    if (!isLarge) this.box.addEventListener("keydown", submitOnEnter);
    this.element.classList.add("is-wide");
    this.show(this.box);
    this.reset();
  }

  /** @override @returns {string | undefined} an empty text only where the workflow would take another. */
  read() {
    const text = this.box.value;
    return text || (this.parameter.default && !this.required) ? text : undefined;
  }

  /** @override @param {unknown} value */
  write(value) {
    this.box.value = value == null ? "" : String(value);
  }
}

/** @param {KeyboardEvent} event */
function submitOnEnter(event) {
  const box = /** @type {HTMLTextAreaElement} */ (event.currentTarget);
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || box.value.includes("\n")) return;
  event.preventDefault();
  box.form?.requestSubmit();
}
