/** Reads server-sent events from the body of an answer, however it is cut into chunks. */

import { parseExactly } from "./exact_json.js";

/** @typedef {{event: string, data: any}} ServerEvent */

/**
 * The events of an answer, their data read as JSON. Comments and events without data are left out; an event that the
 * end cuts off is too.
 *
 * @param {Response} response
 * @param {() => void} [onBytes] called with each sign of life, comments included.
 * @returns {AsyncGenerator<ServerEvent, void, void>}
 */
export async function* eventsOf(response, onBytes = () => {}) {
  let event = "";
  /** @type {string[]} */
  let data = [];
  for await (const line of linesOf(response, onBytes)) {
    if (line === "") {
      if (data.length) yield { event: event || "message", data: parseExactly(data.join("\n")) };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
}

/**
 * The lines of an answer, without their ends; a last one without an end is left out.
 *
 * @param {Response} response
 * @param {() => void} onBytes
 * @returns {AsyncGenerator<string, void, void>}
 */
async function* linesOf(response, onBytes) {
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  /** @type {string[]} */
  let begun = []; // the parts of a line whose end has not come: one string would be copied for each chunk
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      const pieces = decoder.decode(value, { stream: true }).split("\n");
      for (const piece of pieces.slice(0, -1)) {
        yield [...begun, piece].join("").replace(/\r$/, "");
        begun = [];
      }
      begun.push(pieces[pieces.length - 1] ?? "");
    }
  } finally {
    reader.cancel().catch(() => {}); // the connection may be gone already
  }
}
