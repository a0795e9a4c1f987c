/** Presets: a choice that fills several fields. Those that set what is no field are sent by their names. */

import { ChoiceField } from "./choice_field.js";
import { labelOf } from "../labels.js";

/**
 * @typedef {import("./field.js").Field} Field
 * @typedef {Record<string, Record<string, unknown>>} Settings what each value of a preset sets.
 */

const NONE = "As set below";

export class PresetField extends ChoiceField {
  /**
   * @param {string} name
   * @param {Settings} settings
   * @param {{id: string, fields: Map<string, Field>}} options fields: those of the parameters, by name.
   */
  constructor(name, settings, { id, fields }) {
    const isAllowed = (/** @type {Record<string, unknown>} */ params) =>
      Object.entries(params).every(([parameter, value]) => fields.get(parameter)?.allows(value) ?? true);
    const choices = Object.keys(settings).filter((choice) => isAllowed(settings[choice] ?? {}));
    super(name, {}, { id, choices, none: NONE, label: labelOf(name) });
    this.settings = settings;
    this.fields = fields;
    const first = this.box.options[0];
    if (this.isSent && first) first.text = "The workflow's own";
    // not at "change", which comes later: at "input" the form shows what fits the fields, and would undo the choice
    this.box.addEventListener("input", () => this.apply());
  }

  /** @returns {boolean} whether it sets more than the form's fields show. */
  get isSent() {
    return Object.values(this.settings).some((params) => Object.keys(params).some((name) => !this.fields.has(name)));
  }

  /** Fill the fields that the chosen value sets. */
  apply() {
    const chosen = this.settings[String(this.read())] ?? {};
    for (const [name, value] of Object.entries(chosen)) {
      const field = this.fields.get(name);
      field?.write(value);
      field?.clearError();
    }
  }

  /** Show the value that the fields have now, if it is one of this preset's. */
  follow() {
    if (this.isSent) return;
    const fitting = Object.entries(this.settings).find(([, params]) =>
      Object.entries(params).every(([name, value]) => this.fields.get(name)?.value === value),
    );
    this.write(fitting?.[0]);
  }
}
