/** The figures that matter most, in a row. */

import { el } from "../element.js";
import { secondsInWords } from "./figures.js";

/** @param {import("./figures.js").Figures} figures @returns {HTMLElement} */
export function summary({ servers, queue, slots, jobs, agents }) {
  const up = servers.filter(({ reachable }) => reachable).length;
  return el(
    "dl",
    { class: "figures" },
    queue && figure("running", queue.running.length),
    queue && figure("waiting", queue.pending.length),
    slots && figure("slots in use", slots.taken, `of ${slots.all}`),
    agents && figure("agents", agents.length),
    !agents && servers.length > 0 && figure("servers that answer", up, `of ${servers.length}`),
    jobs && figure("jobs that run", jobs.running),
    jobs && figure("jobs that wait", jobs.queued, jobs.oldest_seconds ? `for up to ${secondsInWords(jobs.oldest_seconds)}` : ""),
  );
}

/** @param {string} name @param {number} value @param {string} [more] */
function figure(name, value, more = "") {
  return el(
    "div",
    { class: "card figure" },
    el("dt", { text: name }),
    el("dd", {}, value, more && el("small", { text: ` ${more}` })),
  );
}
