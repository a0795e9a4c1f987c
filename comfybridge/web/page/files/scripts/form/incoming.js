/** Where a file goes that came to the form as a whole: pasted, or dropped beside the fields. */

import { FileField } from "./file_field.js";
import { fileKindOf, mayBe } from "./file_kinds.js";
import { isMask } from "./masks.js";

/** @typedef {import("./form.js").WorkflowForm} WorkflowForm */

/**
 * Put a file into the first empty field for its kind, or into the only one.
 *
 * @param {WorkflowForm} form
 * @param {File} file
 * @returns {boolean} whether there was such a field.
 */
export function takeFile(form, file) {
  const fitting = fileFields(form).filter((field) => !isMask(field.name) && mayBe(fileKindOf(field.kind), file));
  const field = fitting.find((each) => each.isEmpty) ?? (fitting.length === 1 ? fitting[0] : undefined);
  return field?.take(file) ?? false;
}

/**
 * Take pasted files for as long as the form is in the document.
 *
 * @param {WorkflowForm} form
 */
export function listenForPaste(form) {
  let wasShown = false;
  const listener = (/** @type {ClipboardEvent} */ event) => {
    wasShown ||= form.element.isConnected;
    if (!form.element.isConnected) {
      if (wasShown) document.removeEventListener("paste", listener);
      return;
    }
    const file = event.clipboardData?.files[0];
    const isText = event.target instanceof HTMLElement && event.target.matches("textarea, input");
    if (!file || (isText && event.clipboardData?.types.includes("text/plain"))) return;
    if (document.querySelector("dialog[open]")) return;
    const focused = fileFields(form).find((field) => field.element.contains(document.activeElement));
    if (focused ? focused.take(file) : takeFile(form, file)) event.preventDefault();
  };
  document.addEventListener("paste", listener);
}

/** @param {WorkflowForm} form @returns {FileField[]} */
function fileFields(form) {
  return [...form.fields.values()].filter((field) => field instanceof FileField);
}
