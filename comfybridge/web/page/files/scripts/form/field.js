/** What all fields of a form have in common: a label, help, an error, and a value that is read and written. */

import { el } from "../element.js";
import { foldable } from "../folding.js";
import { labelOf } from "../labels.js";
import { Problem } from "./problem.js";

/**
 * @typedef {import("../types.js").Parameter} Parameter
 *
 * @typedef {object} FieldOptions
 * @property {string} id unique in the document.
 * @property {boolean} [required]
 * @property {string} [label] made from the name if not given.
 * @property {string} [subject] what sentences call it; as the label if not given.
 */

/** @abstract */
export class Field {
  /**
   * @param {string} name
   * @param {Parameter} parameter
   * @param {FieldOptions} options
   */
  constructor(name, parameter, { id, required = false, label = labelOf(name), subject = label }) {
    this.name = name;
    this.parameter = parameter;
    this.id = id;
    this.required = required;
    this.label = label;
    this.subject = subject;
    this.error = el("p", { class: "field-error", id: `${id}-error`, hidden: true });
    this.help = parameter.description
      ? foldable(sentence(parameter.description), { class: "field-help", id: `${id}-help` })
      : null;
    this.element = el("div", { class: "field", dataset: { parameter: name } });
    this.element.addEventListener("input", () => this.clearError());
    this.element.addEventListener("change", () => this.clearError());
    /** @type {HTMLElement | null} */
    this.control = null;
  }

  /**
   * The control that has the label and the focus; called once by each kind of field.
   *
   * @param {HTMLElement} control
   * @param {...(Node | null)} others what stands below it.
   */
  show(control, ...others) {
    this.control = control;
    control.id = this.id;
    control.setAttribute("aria-invalid", "false");
    if (this.required) control.setAttribute("aria-required", "true");
    this.describe();
    const label = el("label", { class: "field-label", for: this.id, id: `${this.id}-label`, text: this.label });
    const mark = this.required ? el("span", { class: "field-required", "aria-hidden": "true", text: "required" }) : null;
    const head = el("div", { class: "field-head" }, label, mark);
    this.element.append(head, ...[control, ...others, this.help, this.error].filter((node) => node !== null));
  }

  /** Name the texts that describe the control. */
  describe() {
    const ids = [this.error.hidden ? "" : this.error.id, this.help ? `${this.id}-help` : ""].filter(Boolean).join(" ");
    if (ids) this.control?.setAttribute("aria-describedby", ids);
    else this.control?.removeAttribute("aria-describedby");
  }

  /** @returns {boolean} whether the workflow has a value of its own. */
  get hasDefault() {
    return this.parameter.default !== undefined && this.parameter.default !== null;
  }

  /**
   * @returns {unknown} the value to send; undefined if none is given.
   * @throws {Problem} if it is none that the parameter takes.
   */
  read() {
    return undefined;
  }

  /**
   * @param {unknown} value
   */
  write(value) {
    void value;
  }

  /**
   * @param {unknown} value
   * @returns {boolean} whether the caller may set it.
   */
  allows(value) {
    void value;
    return true;
  }

  /** Go back to the workflow's own value. */
  reset() {
    this.write(this.parameter.default);
  }

  /** @returns {unknown} as `read`, but a value that is not accepted counts as none. */
  get value() {
    try {
      return this.read();
    } catch {
      return undefined;
    }
  }

  /**
   * @returns {unknown} as `read`.
   * @throws {Problem} also if a value must be given and there is none.
   */
  checked() {
    const value = this.read();
    if (value === undefined && this.required) throw new Problem(`${this.subject} is missing.`);
    return value;
  }

  /** @param {string} text a sentence. */
  showError(text) {
    this.error.textContent = text;
    this.error.hidden = false;
    this.control?.setAttribute("aria-invalid", "true");
    this.describe();
  }

  clearError() {
    if (this.error.hidden) return;
    this.error.hidden = true;
    this.control?.setAttribute("aria-invalid", "false");
    this.describe();
  }

  focus() {
    this.control?.focus();
  }
}

// after which a full stop ends a sentence; others have marks of their own, or none
const LETTER = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Arabic}\p{Script=Hebrew}\p{N}%"'\]]$/u;

/**
 * @param {string} text a description, often without capital and full stop.
 */
function sentence(text) {
  const trimmed = text.trim();
  const capital = /^[a-z]+[A-Z_.]/.test(trimmed) ? trimmed : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return LETTER.test(capital) ? `${capital}.` : capital;
}
