/**
 * What the page of figures has asked for.
 *
 * @typedef {object} Device
 * @property {string} [name]
 * @property {string} [type]
 * @property {number} [vram_total] bytes
 * @property {number} [vram_free] bytes
 *
 * @typedef {object} Server
 * @property {string} server its address, or its name.
 * @property {boolean} reachable
 * @property {number} in_flight prompts that the bridge waits for.
 * @property {number | null} queue_remaining
 * @property {number | null} mean_seconds of a prompt.
 * @property {{comfyui_version?: string, python_version?: string, pytorch_version?: string, os?: string,
 *   ram_total?: number, ram_free?: number}} system
 * @property {Device[]} devices
 *
 * @typedef {object} Agent
 * @property {string} name
 * @property {string} version
 * @property {number} slots
 * @property {number} running
 * @property {Record<string, boolean>} servers whether each of its ComfyUIs answers.
 * @property {number | null} mean_seconds
 *
 * @typedef {object} Queue
 * @property {{prompt_id: string, server: string}[]} running
 * @property {{prompt_id: string, position: number, server: string}[]} pending
 * @property {{prompt_id: string, position: number}[]} [jobs] those that no ComfyUI has yet.
 *
 * @typedef {object} Figures
 * @property {Server[]} servers
 * @property {string | null} error why there are no servers.
 * @property {Agent[]} [agents]
 * @property {{queued: number, running: number, oldest_seconds: number | null}} [jobs]
 * @property {Queue | null} queue null if the bridge does not tell.
 * @property {{taken: number, all: number} | null} slots
 */

/** @param {number | null | undefined} seconds @returns {string} such as "4.2 s". */
export function secondsInWords(seconds) {
  if (seconds === null || seconds === undefined) return "not known";
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** @param {number} bytes @returns {string} in binary units, as memory is sold. */
export function memoryInWords(bytes) {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
