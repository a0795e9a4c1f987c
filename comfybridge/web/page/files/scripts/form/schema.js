/** What kind of field a parameter's JSON Schema asks for. */

/**
 * @typedef {import("../types.js").Parameter} Parameter
 * @typedef {"file" | "seed" | "choice" | "boolean" | "integer" | "number" | "text" | "any"} Kind
 */

/** @type {readonly string[]} */
const FILES = ["image", "video", "audio"];

/**
 * @param {Parameter} parameter
 * @returns {Kind}
 */
export function kindOf(parameter) {
  const types = typesOf(parameter);
  if (parameter.format !== undefined && FILES.includes(parameter.format)) return "file";
  if (types.includes("integer") && types.includes("null") && Number(parameter.minimum) === -1) return "seed";
  if (Array.isArray(parameter.enum)) return "choice";
  if (types.includes("string")) return "text";
  if (types.includes("number")) return "number";
  if (types.includes("integer")) return "integer";
  if (types.includes("boolean")) return "boolean";
  return kindOfValue(parameter.default);
}

/** @param {Parameter} parameter @returns {string[]} */
function typesOf({ type }) {
  return type === undefined ? [] : Array.isArray(type) ? type : [type];
}

/** @param {unknown} value the default of a parameter without a type. @returns {Kind} */
function kindOfValue(value) {
  if (typeof value === "boolean") return "boolean";
  if (typeof value === "number" || typeof value === "bigint") return "number";
  return "any";
}
