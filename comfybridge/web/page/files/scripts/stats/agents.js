/** The agents as a table. */

import { el } from "../element.js";
import { secondsInWords } from "./figures.js";
import { table } from "./table.js";

/** @param {import("./figures.js").Agent[]} agents @returns {HTMLElement} */
export function agentTable(agents) {
  if (!agents.length) return el("p", { class: "hint", text: "No agent is here." });
  const rows = agents.map(({ name, version, slots, running, servers, mean_seconds }) => [
    name,
    `${running} of ${slots}`,
    Object.entries(servers).map(([server, answers]) => `${server} ${answers ? "answers" : "does not answer"}`).join(", "),
    secondsInWords(mean_seconds),
    version,
  ]);
  return table("Agents", ["Name", "Running", "Servers", "Time of a prompt", "Version"], rows);
}
