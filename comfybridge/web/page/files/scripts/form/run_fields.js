/** The fields that every workflow has: how often to run it, for how long, and what its pictures come as. */

import { ChoiceField } from "./choice_field.js";
import { NumberField } from "./number_field.js";

/**
 * @typedef {import("../types.js").Policy} Policy
 * @typedef {import("./field.js").Field} Field
 */

/** What the bridge converts still pictures to, and what people call it. */
const FORMATS = new Map([
  ["png", "PNG"],
  ["jpeg", "JPEG"],
  ["webp", "WebP"],
]);

/**
 * @typedef {object} RunFields
 * @property {NumberField | null} n null if one request may run only one prompt.
 * @property {NumberField} timeout in seconds.
 * @property {ChoiceField} format
 * @property {NumberField} quality from 1 to 100.
 * @property {() => void} showQuality shows the quality if the format has one.
 */

/**
 * @param {Policy} policy
 * @param {string} id the beginning of the fields' ids.
 * @param {boolean} hasSeed whether the workflow has a parameter for one.
 * @returns {RunFields}
 */
export function runFields(policy, id, hasSeed) {
  const most = policy.max_n ?? 1;
  const longest = policy.max_timeout ?? null;
  /** @type {RunFields} */
  const fields = {
    n:
      most > 1
        ? new NumberField(
            "n",
            { default: 1, description: `How often to run the workflow${hasSeed ? ", each time with the next seed" : ""}.` },
            { id: `${id}-n`, label: "How many prompts", limits: { low: 1, high: most }, isWhole: true },
          )
        : null,
    timeout: timeoutField(policy.timeout, longest, id),
    format: new ChoiceField(
      "output.format",
      { description: "What still pictures are converted to." },
      {
        id: `${id}-format`,
        label: "Picture format",
        choices: [...FORMATS.keys()],
        none: "As the workflow makes them",
        nameOf: (format) => FORMATS.get(String(format)) ?? String(format),
      },
    ),
    quality: new NumberField(
      "output.quality",
      { description: "For JPEG and WebP; 90 if left empty." },
      { id: `${id}-quality`, label: "Picture quality", limits: { low: 1, high: 100 }, isWhole: true },
    ),
    showQuality: () => {
      fields.quality.element.hidden = !hasQuality(fields.format.value);
    },
  };
  fields.format.element.addEventListener("change", fields.showQuality);
  fields.showQuality();
  return fields;
}

/** @param {unknown} format */
function hasQuality(format) {
  return format !== undefined && format !== "png";
}

/**
 * @param {number} usual
 * @param {number | null} longest
 * @param {string} id
 */
function timeoutField(usual, longest, id) {
  const description = `How many seconds to wait for the result; ${usual} if left empty.`;
  const limits = { low: 1, high: longest };
  return new NumberField("timeout", { description }, { id: `${id}-timeout`, label: "Timeout", limits, isWhole: false });
}

/**
 * @param {RunFields} fields
 * @returns {Record<string, unknown> | undefined} the request's `output`.
 * @throws {import("./problem.js").Problem}
 */
export function outputOf({ format, quality }) {
  const chosen = format.read();
  if (chosen === undefined) return undefined;
  const percent = hasQuality(chosen) ? quality.read() : undefined;
  return { format: chosen, ...(percent === undefined ? {} : { quality: percent }) };
}
