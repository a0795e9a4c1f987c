/** A yes or no. */

import { el } from "../element.js";
import { Field } from "./field.js";

export class CheckField extends Field {
  /**
   * @param {string} name
   * @param {import("../types.js").Parameter} parameter
   * @param {import("./field.js").FieldOptions} options
   */
  constructor(name, parameter, options) {
    super(name, parameter, options);
    this.box = el("input", { type: "checkbox", id: this.id });
    this.control = this.box;
    this.element.classList.add("is-wide");
    const label = el("label", { class: "check", for: this.id }, this.box, this.label);
    this.element.append(...[label, this.help, this.error].filter((node) => node !== null));
    this.describe();
    this.reset();
  }

  /** @override @returns {boolean} */
  read() {
    return this.box.checked;
  }

  /** @override @param {unknown} value */
  write(value) {
    this.box.checked = value === true || value === "true";
  }
}
