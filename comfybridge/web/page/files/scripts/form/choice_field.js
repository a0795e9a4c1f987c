/** One of a few choices, in a list that the browser shows. */

import { el } from "../element.js";
import { Field } from "./field.js";
import { nameOfChoice, placeOf } from "./choices.js";
import { Problem } from "./problem.js";

const NONE = "";
const FOREIGN = "foreign";

export class ChoiceField extends Field {
  /**
   * @param {string} name
   * @param {import("../types.js").Parameter} parameter
   * @param {import("./field.js").FieldOptions & {choices: readonly unknown[], none?: string,
   *   nameOf?: (choice: unknown) => string}} options none: what stands for no choice.
   */
  constructor(name, parameter, options) {
    super(name, parameter, options);
    this.choices = options.choices;
    const { nameOf = nameOfChoice } = options;
    this.box = el("select", {});
    if (!this.hasDefault || placeOf(parameter.default, this.choices) < 0) {
      const usual = this.required ? "Choose one" : "The workflow's own";
      const none = options.none ?? (this.choices.length ? usual : "ComfyUI has none");
      this.box.append(el("option", { value: NONE, text: none }));
    }
    this.choices.forEach((choice, index) => {
      this.box.append(el("option", { value: String(index), text: nameOf(choice) }));
    });
    /** @type {unknown} a value that is not one of the choices. */
    this.foreign = undefined;
    this.show(this.box);
    this.reset();
  }

  /** @override */
  read() {
    if (this.box.value === NONE) return undefined;
    if (this.box.value === FOREIGN) {
      throw new Problem(`${this.subject} is ${nameOfChoice(this.foreign)}, which is no longer there; choose another.`);
    }
    return this.choices[Number(this.box.value)];
  }

  /** @override @param {unknown} value */
  write(value) {
    this.box.querySelector(`option[value="${FOREIGN}"]`)?.remove();
    const place = placeOf(value, this.choices);
    if (place >= 0) {
      this.box.value = String(place);
      return;
    }
    if (value == null || value === "") {
      this.box.selectedIndex = 0;
      return;
    }
    this.foreign = value;
    this.box.append(el("option", { value: FOREIGN, text: `${nameOfChoice(value)} (not there)` }));
    this.box.value = FOREIGN;
  }
}
