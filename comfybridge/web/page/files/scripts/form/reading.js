/** Reads a form into the content of a request, with a problem for each field that can't be sent. */

import { outputOf } from "./run_fields.js";
import { Problem } from "./problem.js";

/**
 * @typedef {import("../types.js").Content} Content
 * @typedef {import("./field.js").Field} Field
 * @typedef {import("./form.js").WorkflowForm} WorkflowForm
 */

/**
 * @param {WorkflowForm} form
 * @returns {{content: Content, problems: Map<Field, string>}} problems: sentences.
 */
export function contentOf({ fields, presets, run, policy }) {
  /** @type {Content} */
  const content = { params: Object.create(null), files: Object.create(null) }; // a parameter may be named __proto__
  /** @type {Map<Field, string>} */
  const problems = new Map();
  const read = (/** @type {Field} */ field, /** @type {(value: any) => void} */ use) => {
    try {
      const value = field.checked();
      if (value !== undefined) use(value);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problems.set(field, error.message);
    }
  };
  for (const [name, field] of fields) {
    read(field, (value) => {
      if (value instanceof File) content.files[name] = value;
      else content.params[name] = value;
    });
  }
  for (const preset of presets) {
    if (preset.isSent) read(preset, (value) => (content.presets = { ...content.presets, [preset.name]: value }));
  }
  if (run.n) read(run.n, (value) => (content.n = value));
  read(run.timeout, (value) => (content.timeout = value));
  read(run.format, () => undefined);
  if (!run.quality.element.hidden) read(run.quality, () => undefined);
  if (!problems.has(run.format) && !problems.has(run.quality)) {
    const output = outputOf(run);
    if (output) content.output = output;
  }
  const { width, height } = content.params;
  const pixels = Number(width) * Number(height);
  const widthField = fields.get("width");
  if (policy.max_pixels != null && widthField && pixels > policy.max_pixels) {
    const most = policy.max_pixels.toLocaleString("en");
    problems.set(widthField, `${width} × ${height} are ${pixels.toLocaleString("en")} pixels; at most ${most} are allowed.`);
  }
  return { content, problems };
}
