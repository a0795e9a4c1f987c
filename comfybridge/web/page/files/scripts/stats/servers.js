/** The servers: a card each. */

import { el } from "../element.js";
import { memoryInWords, secondsInWords } from "./figures.js";

/**
 * @typedef {import("./figures.js").Server} Server
 * @typedef {import("./figures.js").Device} Device
 */

/** @param {import("./figures.js").Figures} figures @returns {HTMLElement | null} null if there is nothing to say. */
export function serverCards({ servers, error }) {
  if (error !== null) return el("p", { class: "card problem", text: error });
  if (!servers.length) return null;
  return el("div", { class: "servers" }, ...servers.map(card));
}

/** @param {Server} server */
function card({ server, reachable, in_flight, queue_remaining, mean_seconds, system, devices }) {
  const state = reachable ? ["ok", "answers"] : ["bad", "does not answer"];
  const id = `server-${encodeURIComponent(server)}`; // a space would make two ids of it
  return el(
    "article",
    { class: "card server", "aria-labelledby": id },
    el(
      "div",
      { class: "server-head" },
      el("h3", { id, text: server }),
      el("span", { class: `badge ${state[0]}`, text: state[1] }),
    ),
    el(
      "dl",
      { class: "pairs" },
      ...(queue_remaining === null ? [] : pair("In its queue", queue_remaining)),
      ...pair("From this bridge", in_flight),
      ...pair("Time of a prompt", secondsInWords(mean_seconds)),
      ...(system.comfyui_version ? pair("ComfyUI", system.comfyui_version) : []),
      ...(system.pytorch_version ? pair("PyTorch", system.pytorch_version) : []),
      ...(system.os ? pair("System", `${system.os}, Python ${system.python_version?.split(" ")[0] ?? "unknown"}`) : []),
    ),
    ...devices.map(({ name, type, vram_total, vram_free }) => memory(name ?? type ?? "Device", vram_total, vram_free)),
    memory("Main memory", system.ram_total, system.ram_free),
  );
}

/** @param {string} term @param {string | number} value */
function pair(term, value) {
  return [el("dt", { text: term }), el("dd", { text: value })];
}

/** @param {string} name @param {number} [total] @param {number} [free] */
function memory(name, total, free) {
  if (!total || free === undefined) return null;
  const used = Math.max(total - free, 0);
  const text = `${memoryInWords(used)} of ${memoryInWords(total)} in use`;
  const meter = el("meter", { min: 0, max: total, high: total * 0.9, value: used, "aria-label": `${name}: ${text}` });
  return el("div", {}, el("p", { class: "hint", text: `${name}: ${text}` }), meter);
}
