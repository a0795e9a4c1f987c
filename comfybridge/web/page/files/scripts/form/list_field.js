/** Makes the field for a list of choices: short lists are shown, long ones are searched. */

import { ChoiceField } from "./choice_field.js";
import { SearchField } from "./search_field.js";

/** How many choices a plain list has at most. */
const MOST_LISTED = 30;

/**
 * @param {string} name
 * @param {import("../types.js").Parameter} parameter
 * @param {import("./field.js").FieldOptions & {choices: readonly unknown[], none?: string}} options none: what stands
 *   for no choice.
 * @returns {ChoiceField | SearchField}
 */
export function listOf(name, parameter, options) {
  return options.choices.length > MOST_LISTED
    ? new SearchField(name, parameter, options)
    : new ChoiceField(name, parameter, options);
}
