/** Chooses a workflow: one of the bridge's, or one from a file. */

import { el, fill } from "./element.js";
import { foldable } from "./folding.js";
import { taskInWords } from "./tasks.js";

/**
 * @typedef {import("./types.js").Listing} Listing
 * @typedef {import("./types.js").ListedWorkflow} ListedWorkflow
 * @typedef {import("./types.js").Workflow} Workflow
 */

const OPENED = "opened:"; // before the number of a workflow from a file, as an option's value
const NAMED = "named:";

/** Fires "choose" when a person has chosen another one, and "open" with a file in `detail`. */
export class Chooser extends EventTarget {
  /** @type {Workflow[]} */
  #opened = [];
  #select = el("select", { id: "workflow", on: { change: () => this.dispatchEvent(new Event("choose")) } });
  #description = el("div", { class: "hint", id: "workflow-description" });
  #notes = el("div", { class: "chooser-notes" });
  #group = el("optgroup", { label: "From files" });

  /**
   * @param {Listing} listing
   * @param {boolean} mayOpen whether workflows from files are offered.
   */
  constructor(listing, mayOpen) {
    super();
    /** @type {string[]} */
    this.names = [];
    this.#select.setAttribute("aria-describedby", this.#description.id);
    const label = el("label", { for: this.#select.id, text: "Workflow" });
    const row = el("div", { class: "chooser-row" }, this.#select, mayOpen && this.#opener());
    this.element = el("div", { class: "chooser" }, label, row, this.#description, this.#notes);
    this.offer(listing.workflows);
  }

  /** Offer these workflows of the bridge; those from files stay. @param {ListedWorkflow[]} workflows */
  offer(workflows) {
    const names = workflows.map(({ name }) => name);
    if (this.names.length && String(names) === String(this.names)) return;
    const { value } = this.#select;
    this.names = names;
    fill(this.#select, ...groupsOf(workflows), this.#opened.length > 0 && this.#group);
    if (value) this.#select.value = value;
    this.#select.disabled = this.#select.options.length === 0;
  }

  /** @returns {string | Workflow} the name of one of the bridge's, or one from a file. */
  get chosen() {
    const { value } = this.#select;
    const opened = value.startsWith(OPENED) ? this.#opened[Number(value.slice(OPENED.length))] : undefined;
    return opened ?? value.slice(NAMED.length);
  }

  /** @param {string | Workflow} workflow */
  set chosen(workflow) {
    if (typeof workflow === "string") this.#select.value = `${NAMED}${workflow}`;
    else this.#select.value = `${OPENED}${this.#place(workflow)}`;
  }

  /** Tell of the workflow that is shown. @param {Workflow} workflow */
  describe(workflow) {
    const used = workflow.models.flatMap(({ name, used_instead: other }) => (other ? `${other} takes the place of ${name}.` : []));
    const description = workflow.name === null ? "From a file." : workflow.description;
    fill(this.#description, description && foldable(description), used.length > 0 && el("p", { text: used.join(" ") }));
    fill(this.#notes, ...lacksOf(workflow));
  }

  /** @param {Workflow} workflow @returns {number} */
  #place(workflow) {
    const known = this.#opened.indexOf(workflow);
    if (known >= 0) return known;
    const place = this.#opened.push(workflow) - 1;
    this.#group.append(el("option", { value: `${OPENED}${place}`, text: workflow.description || "A workflow" }));
    this.#select.append(this.#group);
    this.#select.disabled = false;
    return place;
  }

  #opener() {
    const input = el("input", { type: "file", accept: ".json,image/*,video/*,audio/*", hidden: true });
    input.addEventListener("change", () => {
      const [file] = input.files ?? [];
      input.value = ""; // the same file may be opened again
      if (file) this.dispatchEvent(new CustomEvent("open", { detail: file }));
    });
    const title = "A workflow as ComfyUI saves it, or a picture that ComfyUI made";
    const button = el("button", { type: "button", title, text: "Open…", on: { click: () => input.click() } });
    button.setAttribute("aria-label", "Open a workflow or a picture from a file");
    return el("span", {}, button, input);
  }
}

/**
 * What the servers lack for a workflow, as sentences.
 *
 * @param {Workflow} workflow
 * @returns {HTMLElement[]}
 */
function lacksOf(workflow) {
  const sentences = missingModels(workflow).map(({ name, directory, url }) =>
    el("p", {}, "ComfyUI lacks the model ", linkTo(url, name), directory && ` (in ${directory})`, "."),
  );
  const nodes = workflow.missing_nodes ?? [];
  if (nodes.length) sentences.push(el("p", { text: `ComfyUI lacks the ${nodes.length === 1 ? "node" : "nodes"} ${nodes.join(", ")}.` }));
  return sentences;
}

/** @param {Workflow} workflow those that nothing takes the place of. */
export function missingModels({ models }) {
  return models.filter(({ installed, used_instead }) => installed === false && !used_instead);
}

/** @param {string} url @param {string} text */
export function linkTo(url, text) {
  if (!/^https?:\/\//.test(url)) return el("span", { text });
  return el("a", { href: url, target: "_blank", rel: "noreferrer", text });
}

/** @param {ListedWorkflow[]} workflows @returns {HTMLElement[]} options, by task if there are several. */
function groupsOf(workflows) {
  /** @type {Map<string, HTMLOptionElement[]>} */
  const groups = new Map();
  for (const { name, tasks } of workflows) {
    const group = tasks[0] ? taskInWords(tasks[0]) : "Others";
    groups.set(group, [...(groups.get(group) ?? []), el("option", { value: `${NAMED}${name}`, text: name })]);
  }
  if (groups.size === 1) return [...groups.values()].flat();
  return [...groups].map(([label, options]) => el("optgroup", { label }, ...options));
}
