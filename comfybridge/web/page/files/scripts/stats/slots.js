/** The bridge's slots, from its metrics. */

/**
 * @param {string} metrics in Prometheus's format.
 * @returns {{taken: number, all: number} | null} null if it has none.
 */
export function slotsIn(metrics) {
  const all = sumOf(metrics, "comfybridge_slots");
  const taken = sumOf(metrics, "comfybridge_slots_taken");
  return all === null || taken === null ? null : { taken, all };
}

/** @param {string} metrics @param {string} name @returns {number | null} over all processes. */
function sumOf(metrics, name) {
  const values = [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "gm"))];
  return values.length ? values.reduce((sum, [, value]) => sum + Number(value), 0) : null;
}
