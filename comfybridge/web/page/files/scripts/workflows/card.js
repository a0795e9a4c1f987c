/** One workflow on the page of workflows. */

import { getJson } from "../api.js";
import { linkTo, missingModels } from "../chooser.js";
import { el, fill } from "../element.js";
import { writeExactly } from "../exact_json.js";
import { foldable } from "../folding.js";
import { taskInWords } from "../tasks.js";
import { parameterTable } from "./parameters.js";
import { exampleRequest } from "./request.js";
import { sampleOf } from "./sample.js";

/**
 * @typedef {import("../types.js").Workflow} Workflow
 * @typedef {import("../types.js").ListedWorkflow} ListedWorkflow
 *
 * @typedef {object} Context
 * @property {import("../types.js").Policy} policy
 * @property {import("../gallery/store.js").Store} store
 * @property {import("../gallery/loading.js").Loading} loading
 */

export class WorkflowCard {
  #badge = el("span", { class: "badge", text: "…" });
  #details = el("div", { class: "workflow-details" });
  #shown = "";
  #listed;
  #context;

  /** @param {ListedWorkflow} listed @param {Context} context */
  constructor(listed, context) {
    this.#listed = listed;
    this.#context = context;
    const { name, description, tasks, parameters } = listed;
    const makes = listed.makes ?? [];
    this.text = [name, description, ...tasks, ...tasks.map(taskInWords), ...makes].join(" ").toLowerCase();
    const link = `./?workflow=${encodeURIComponent(name)}`;
    const facts = [...tasks.map(taskInWords), makes.length ? `makes ${makes.join(", ")}` : ""].filter(Boolean);
    const id = `workflow-${encodeURIComponent(name)}`; // a space would make two ids of it
    this.element = el(
      "article",
      { class: "card workflow-card", "aria-labelledby": id },
      sampleOf(name, link, context),
      el(
        "div",
        { class: "workflow-head" },
        el("h2", { id, text: name }),
        this.#badge,
        el("p", { class: "workflow-facts hint", text: facts.join(" · ") }),
        foldable(description || `Takes ${parameters.join(", ") || "no parameters"}.`),
        el("a", { class: "button primary", href: link, "aria-label": `Use it: ${name}`, text: "Use it" }),
      ),
      this.#details,
    );
    this.refresh();
  }

  /** Read it again, as what ComfyUI has may have changed. */
  refresh() {
    this.#context.loading.whenSeen(this.element, () => this.#load());
  }

  async #load() {
    try {
      const path = this.#listed.name.split("/").map(encodeURIComponent).join("/");
      this.#show(await getJson(`workflows/${path}`));
    } catch (error) {
      this.#shown = "";
      this.#say("bad", "Not read");
      const again = el("button", { type: "button", text: "Try again", on: { click: () => this.#load() } });
      fill(this.#details, el("p", { class: "card-error", text: error instanceof Error ? error.message : "" }), again);
    }
  }

  /** @param {Workflow} workflow */
  #show(workflow) {
    const text = writeExactly(workflow);
    if (text === this.#shown) return; // what a person has unfolded stays so
    this.#shown = text;
    const { models, missing_nodes: nodes } = workflow;
    const lacking = missingModels(workflow).length + (nodes ?? []).length;
    const isUnknown = nodes === null || nodes === undefined || models.some(({ installed }) => installed === null);
    if (lacking) this.#say("warn", `Lacks ${lacking === 1 ? "1 thing" : `${lacking} things`}`);
    else if (isUnknown) this.#say("", "ComfyUI does not answer");
    else if (models.some(({ used_instead }) => used_instead)) this.#say("warn", "Ready, with another model");
    else this.#say("ok", "Ready");
    const { policy } = this.#context;
    fill(
      this.#details,
      needs(workflow),
      folded("Parameters", parameterTable(workflow, policy)),
      folded("Request", exampleRequest(workflow, policy)),
    );
  }

  /** @param {string} kind @param {string} text */
  #say(kind, text) {
    this.#badge.className = `badge ${kind}`;
    this.#badge.textContent = text;
  }
}

/** @param {string} title @param {HTMLElement} content */
function folded(title, content) {
  return el("details", {}, el("summary", { text: title }), content);
}

/** @param {Workflow} workflow */
function needs({ models, missing_nodes: nodes }) {
  const items = models.map(({ name, directory, url, installed, used_instead }) =>
    el("li", {}, linkTo(url, name), " ", directory && el("span", { class: "hint", text: `in ${directory}` }), " ", stateOf(installed, used_instead)),
  );
  for (const node of nodes ?? []) items.push(el("li", {}, `the node ${node} `, stateOf(false)));
  if (!items.length) return el("p", { class: "hint", text: "Its file names no model." });
  return el("ul", { class: "needs", "aria-label": "What it needs" }, ...items);
}

/** @param {boolean | null | undefined} installed @param {string | null} [usedInstead] */
function stateOf(installed, usedInstead) {
  if (usedInstead) return el("span", { class: "badge warn", text: `${usedInstead} is used instead` });
  if (installed === true) return el("span", { class: "badge ok", text: "installed" });
  if (installed === false) return el("span", { class: "badge bad", text: "missing" });
  return el("span", { class: "badge", text: "not known" });
}
