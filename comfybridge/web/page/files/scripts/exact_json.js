/**
 * JSON with integers of any size. `JSON.parse` rounds those beyond 2^53, which seeds often are; here they become
 * BigInt, and are written as they were.
 */

const INTEGER = /(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g;

/**
 * Read JSON.
 *
 * @param {string} text
 * @returns {any} as from `JSON.parse`, with a BigInt for each integer that a number cannot hold.
 * @throws {SyntaxError} if it is not JSON.
 */
export function parseExactly(text) {
  /** @type {bigint[]} */
  const large = [];
  const mark = `${crypto.getRandomValues(new Uint32Array(4)).join("-")}:`;
  const marked = outsideStrings(text, (part) =>
    part.replace(INTEGER, (digits) => {
      if (Number.isSafeInteger(Number(digits))) return digits;
      return `"${mark}${large.push(BigInt(digits)) - 1}"`;
    }),
  );
  if (!large.length) return JSON.parse(text);
  return JSON.parse(marked, (_, value) =>
    typeof value === "string" && value.startsWith(mark) ? large[Number(value.slice(mark.length))] : value,
  );
}

/**
 * Write JSON.
 *
 * @param {any} value may contain BigInts. What is undefined is left out of objects.
 * @returns {string}
 */
export function writeExactly(value) {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(writeExactly).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const fields = Object.entries(value).filter(([, each]) => each !== undefined);
    return `{${fields.map(([name, each]) => `${JSON.stringify(name)}:${writeExactly(each)}`).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

/**
 * Change the parts of a JSON text that are not within strings.
 *
 * @param {string} text
 * @param {(part: string) => string} change
 * @returns {string}
 */
function outsideStrings(text, change) {
  const parts = [];
  let at = 0;
  while (at < text.length) {
    const start = text.indexOf('"', at);
    if (start < 0) break;
    parts.push(change(text.slice(at, start)));
    at = endOfString(text, start);
    parts.push(text.slice(start, at));
  }
  parts.push(change(text.slice(at)));
  return parts.join("");
}

/**
 * @param {string} text
 * @param {number} start where the string's first quotation mark is.
 * @returns {number} where the text goes on behind the string.
 */
function endOfString(text, start) {
  let end = start;
  do {
    end = text.indexOf('"', end + 1);
  } while (end > 0 && backslashesBefore(text, end) % 2);
  return end < 0 ? text.length : end + 1;
}

/** @param {string} text @param {number} at */
function backslashesBefore(text, at) {
  let count = 0;
  while (text[at - 1 - count] === "\\") count++;
  return count;
}
