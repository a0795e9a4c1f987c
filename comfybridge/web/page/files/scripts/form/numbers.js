/** Numbers as people type them. Integers that a number of JavaScript cannot hold are BigInts. */

/** @typedef {number | bigint} Numeric */

/**
 * @param {string} text
 * @returns {Numeric | null} null if it is no integer.
 */
export function readInteger(text) {
  const digits = text.trim().replace(/\.0*$/, "");
  if (/^[+-]?\d{1,400}$/.test(digits)) return narrowed(BigInt(digits.replace("+", "")));
  const number = readNumber(text); // such as 1e3
  return Number.isSafeInteger(number) ? number : null;
}

/**
 * @param {string} text
 * @returns {number | null} null if it is no number.
 */
export function readNumber(text) {
  const written = text.trim().replace(/^\+/, "").replace(/^(-?\d+),(\d+)$/, "$1.$2");
  if (!/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(written)) return null;
  const number = Number(written);
  return Number.isFinite(number) ? number : null;
}

/**
 * @param {unknown} value
 * @returns {Numeric | null} null if it is no number.
 */
export function numericOf(value) {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  return typeof value === "string" ? readInteger(value) ?? readNumber(value) : null;
}

/**
 * The next multiple of a step above or below a number.
 *
 * @param {Numeric} from
 * @param {number} step
 * @param {number} count how many steps; negative ones go down.
 * @returns {Numeric}
 */
export function stepped(from, step, count) {
  if (Number.isInteger(step) && (typeof from === "bigint" || Number.isInteger(from))) {
    const size = BigInt(step);
    const start = BigInt(from);
    const rest = ((start % size) + size) % size;
    if (!rest) return narrowed(start + size * BigInt(count));
    return narrowed(start - rest + size * BigInt(count > 0 ? count : count + 1));
  }
  const steps = Number(from) / step;
  const nearest = Math.round(steps);
  const isOn = Math.abs(steps - nearest) < 1e-6;
  const start = isOn ? nearest : count > 0 ? Math.floor(steps) : Math.ceil(steps);
  return Number(((start + count) * step).toFixed(6));
}

/** @param {bigint} integer @returns {Numeric} */
function narrowed(integer) {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}
