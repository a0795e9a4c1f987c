/** What stands in the form, kept in this tab over a reload, and over a visit to another page. */

import { parseExactly, writeExactly } from "./exact_json.js";
import { currentKey } from "./key.js";

/**
 * @typedef {import("./types.js").Workflow} Workflow
 * @typedef {import("./types.js").Values} Values
 * @typedef {import("./form/form.js").WorkflowForm} WorkflowForm
 *
 * @typedef {object} Kept
 * @property {string | Workflow} workflow the name of one of the bridge's, or one from a file.
 * @property {Values} values those that differ from the workflow's own; no files.
 */

export class Draft {
  #name;
  #key = currentKey();

  /** @param {string | null} owner the name of the API key's owner; null without keys. */
  constructor(owner) {
    this.#name = `comfybridge.draft ${new URL(".", document.baseURI).pathname} ${owner ?? ""}`;
  }

  /** @returns {Kept | null} */
  get kept() {
    try {
      const kept = parseExactly(sessionStorage.getItem(this.#name) ?? "null");
      return kept?.workflow && kept.values ? kept : null;
    } catch {
      return null; // forbidden, or not ours
    }
  }

  /** Keep the form's content when the page is left. @param {() => WorkflowForm | null} form the present one. */
  keepWhenLeft(form) {
    const keep = () => this.#keep(form());
    addEventListener("pagehide", keep);
    document.addEventListener("visibilitychange", keep); // phones end a page that is not seen without a word
  }

  /** @param {WorkflowForm | null} form */
  #keep(form) {
    if (!form || currentKey() !== this.#key) return; // with the key, what was made with it is forgotten
    const { workflow } = form;
    const { properties } = workflow.parameters;
    const values = Object.entries(form.values()).filter(
      ([name, value]) => !(value instanceof File) && value !== properties[name]?.default,
    );
    const kept = { workflow: workflow.name ?? workflow, values: Object.fromEntries(values) };
    try {
      sessionStorage.setItem(this.#name, writeExactly(kept));
    } catch {
      // forbidden, or too large for the storage
    }
  }
}
