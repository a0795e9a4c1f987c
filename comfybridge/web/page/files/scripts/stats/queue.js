/** What runs and what waits, as a table. */

import { el } from "../element.js";
import { table } from "./table.js";

const MOST_ROWS = 50;

/** @param {import("./figures.js").Queue} queue @param {boolean} isShared by several servers. @returns {HTMLElement} */
export function queueTable({ running, pending, jobs = [] }, isShared) {
  const rows = [
    ...running.map(({ prompt_id, server }) => ["runs", prompt_id, server]),
    ...pending.map(({ position, prompt_id, server }) => [`${position}`, prompt_id, server]),
    ...jobs.map(({ position, prompt_id }) => [`job ${position}`, prompt_id, "none yet"]),
  ].map((row) => (isShared ? row : row.slice(0, 2)));
  if (!rows.length) return el("p", { class: "hint", text: "Nothing waits, and nothing runs." });
  const heads = ["Place", "Prompt", "Server"].slice(0, isShared ? 3 : 2);
  const left = rows.length - MOST_ROWS;
  return el(
    "div",
    {},
    table("Queue", heads, rows.slice(0, MOST_ROWS)),
    left > 0 && el("p", { class: "hint", text: `And ${left} more.` }),
  );
}
