/** Makes the field that suits a parameter. */

import { AnyField } from "./any_field.js";
import { CheckField } from "./check_field.js";
import { ChoiceField } from "./choice_field.js";
import { FileField } from "./file_field.js";
import { limitsOf } from "./limits.js";
import { listOf } from "./list_field.js";
import { NumberField } from "./number_field.js";
import { kindOf } from "./schema.js";
import { SeedField } from "./seed_field.js";
import { TextField } from "./text_field.js";

/**
 * @typedef {import("./field.js").Field} Field
 * @typedef {import("../types.js").Parameter} Parameter
 */

/**
 * @param {string} name
 * @param {Parameter} parameter
 * @param {import("./field.js").FieldOptions & {policy: import("../types.js").Policy}} options
 * @returns {Field}
 */
export function fieldFor(name, parameter, options) {
  const kind = kindOf(parameter);
  const limits = limitsOf(name, parameter, options.policy);
  switch (kind) {
    case "file":
      return new FileField(name, parameter, options);
    case "seed":
      return new SeedField(name, parameter, { ...options, limits: { ...limits, low: 0 }, isWhole: true });
    case "choice":
      return listOf(name, parameter, { ...options, choices: parameter.enum ?? [] });
    case "integer":
    case "number":
      return new NumberField(name, parameter, { ...options, limits, isWhole: kind === "integer" });
    case "boolean":
      return parameter.default == null
        ? new ChoiceField(name, parameter, { ...options, choices: [true, false] })
        : new CheckField(name, parameter, options);
    case "text":
      return new TextField(name, parameter, options);
    case "any":
      return new AnyField(name, parameter, options);
  }
}
