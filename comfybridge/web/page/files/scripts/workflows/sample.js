/** A sample of what a workflow makes: the newest that this browser has made with it. */

import { el, fill } from "../element.js";
import { showOutput } from "../outputs.js";
import { lookUp, together } from "../run/results.js";

/**
 * @param {string} name
 * @param {string} link where one is made.
 * @param {import("./card.js").Context} context
 * @returns {HTMLElement}
 */
export function sampleOf(name, link, { store, loading }) {
  const element = el("div", { class: "sample" });
  const none = () => fill(element, el("a", { class: "sample-none", href: link }, "No sample yet: make one"));
  const entry = store.latestOf(name);
  if (!entry) none();
  else {
    loading.whenSeen(element, async () => {
      const { result } = together(await lookUp(entry.promptIds).catch(() => []));
      const output = result?.outputs[0];
      if (output) fill(element, showOutput(output, { alt: `Made with ${name}: ${entry.title}`, onGone: none }));
      else none();
    });
  }
  return element;
}
