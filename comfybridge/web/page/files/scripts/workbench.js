/** The form of the chosen workflow, and the runs that it starts. */

import { alertUser, announce, dismiss } from "./announce.js";
import { ApiError, getJson } from "./api.js";
import { openDropped, readDropped } from "./drop.js";
import { el, fill } from "./element.js";
import { writeExactly } from "./exact_json.js";
import { WorkflowForm } from "./form/form.js";
import { untilItWorks } from "./patience.js";
import { UnreadableFile } from "./readable.js";
import { makeRequest } from "./request.js";
import { Run } from "./run/run.js";

/**
 * @typedef {import("./types.js").Workflow} Workflow
 * @typedef {import("./types.js").Policy} Policy
 * @typedef {import("./types.js").Values} Values
 * @typedef {import("./types.js").Content} Content
 * @typedef {import("./chooser.js").Chooser} Chooser
 * @typedef {import("./gallery/gallery.js").Gallery} Gallery
 * @typedef {import("./gallery/entry.js").Entry} Entry
 */

// what a person means whichever workflow makes it; steps and models fit one workflow only
const CARRIED = ["prompt", "negative_prompt", "image", "mask"];
const SOON_MS = 500; // what is done by then needs no word
const ONE_COLUMN = matchMedia("(width < 56.25rem)");

/** Fires "show" when there is another form. */
export class Workbench extends EventTarget {
  /** @type {WorkflowForm | null} */
  form = null;
  /** @type {Gallery | null} */
  gallery = null;
  /** @type {WeakMap<Run, WorkflowForm>} */
  #formOf = new WeakMap();
  #place = el("div", { class: "form-place" });
  #choices = 0;

  /**
   * @param {Policy} policy
   * @param {Chooser} chooser
   * @param {HTMLElement} panel shows both.
   */
  constructor(policy, chooser, panel) {
    super();
    this.policy = policy;
    this.chooser = chooser;
    fill(panel, chooser.element, this.#place);
    chooser.addEventListener("choose", () => this.choose(chooser.chosen));
    chooser.addEventListener("open", (event) => this.open(/** @type {CustomEvent<File>} */ (event).detail));
  }

  /**
   * Show the form of a workflow.
   *
   * @param {string | Workflow} chosen
   * @param {Values} [values] what to fill in; what was typed into the last form if not given.
   * @returns {Promise<boolean>} whether it is shown; false if another one has been chosen in the meantime.
   */
  async choose(chosen, values) {
    const choice = ++this.#choices;
    this.chooser.chosen = chosen;
    const typed = values ?? (typeof chosen === "string" ? this.#typed() : {}); // a file has a prompt of its own
    /** @type {Workflow} */
    const workflow = typeof chosen === "string" ? await this.#load(chosen) : chosen;
    if (choice !== this.#choices) return false;
    this.#show(workflow, typed);
    const query = workflow.name === null ? "./" : `?workflow=${encodeURIComponent(workflow.name)}`;
    history.replaceState(null, "", query);
    return true;
  }

  /** Read the workflow again, as what ComfyUI has may have changed; what is in the form stays. */
  async refresh() {
    const { form } = this;
    if (!form || form.workflow.name === null) return;
    const workflow = await this.#ask(form.workflow.name).catch(() => null);
    const isOther = workflow && writeExactly(workflow) !== writeExactly(form.workflow);
    const isInUse = form.element.contains(document.activeElement) || document.querySelector("dialog[open]");
    if (isOther && this.form === form && !isInUse) {
      this.#show(workflow, form.values());
    }
  }

  /** @param {File} file a workflow, or an input of the present one. @returns {Promise<boolean>} whether it was taken. */
  async open(file) {
    dismiss();
    const reading = this.#sayLater(`Reading ${file.name || "the file"}…`);
    try {
      const workflow = await openDropped(file, this.form, this.policy);
      if (workflow) await this.choose(workflow);
      announce(workflow ? `The form is that of ${file.name}.` : `${file.name} is in the form.`);
      return true;
    } catch (error) {
      alertUser(messageOf(error));
      return false;
    } finally {
      reading.end();
    }
  }

  /** Fill the form with what an entry of the gallery was made of. @param {Entry} entry @param {Content} content */
  async runAgain(entry, content) {
    try {
      const { form } = this;
      const workflow = await this.#workflowOf(entry);
      if ((!form || workflow !== form.workflow) && !(await this.choose(workflow))) return;
    } catch (error) {
      return alertUser(`Its workflow cannot be used again: ${messageOf(error)}`);
    }
    this.form?.reset();
    const { params, files, presets, n, timeout, output } = content;
    this.form?.fill({ ...params, ...files, ...presets, n, timeout, output });
    this.#goTo(this.form?.element);
    const first = this.form?.element.querySelector("textarea, input, select");
    if (first instanceof HTMLElement) first.focus({ preventScroll: true });
  }

  /** Show at the form why a request was refused. @param {Run} run @returns {boolean} whether it does. */
  refused(run) {
    const { error } = run;
    const isItsOwn = this.form !== null && this.#formOf.get(run) === this.form;
    if (!isItsOwn || !(error instanceof ApiError || error instanceof UnreadableFile) || !error.field) return false;
    if (!this.form?.showError(error.field, error.message)) return false;
    announce(error.message);
    return true;
  }

  /** Say above the form what takes long, once it does. @param {string} sentence */
  #sayLater(sentence) {
    const shown = el("p", { class: "state is-quiet", text: sentence });
    const timer = setTimeout(() => {
      this.#place.before(shown);
      announce(sentence);
    }, SOON_MS);
    const end = () => {
      clearTimeout(timer);
      shown.remove();
    };
    return { end };
  }

  /** @param {string} name @returns {Promise<Workflow>} */
  #ask(name) {
    return getJson(`workflows/${name.split("/").map(encodeURIComponent).join("/")}`);
  }

  /** @param {string} name */
  #load(name) {
    const place = el("div");
    fill(this.#place, place);
    return untilItWorks(() => this.#ask(name), place, "Reading the workflow…");
  }

  /** @param {Workflow} workflow @param {Values} values */
  #show(workflow, values) {
    const form = new WorkflowForm(workflow, this.policy, values);
    form.addEventListener("submit", () => this.#send(form));
    this.form = form;
    this.chooser.describe(workflow);
    fill(this.#place, form.element);
    this.dispatchEvent(new Event("show"));
  }

  /** @param {WorkflowForm} form */
  #send(form) {
    const content = form.read();
    if (!content) return;
    dismiss();
    const run = new Run(makeRequest(form.workflow, content), { timeout: this.policy.timeout });
    this.#formOf.set(run, form);
    form.setBusy(true); // a second press would ask for the same once more
    run.addEventListener("change", () => {
      if (run.state !== "sending") form.setBusy(false);
      const seed = run.state === "succeeded" ? run.result?.seed : null;
      if (seed !== null && seed !== undefined) form.setLastSeed(seed);
    });
    this.gallery?.add(run);
    run.start();
    if (ONE_COLUMN.matches) this.#goTo(this.gallery?.element);
  }

  /** @returns {Values} what differs from the workflow's own values. */
  #typed() {
    if (!this.form) return {};
    const { properties } = this.form.workflow.parameters;
    const values = Object.entries(this.form.values());
    return Object.fromEntries(
      values.filter(([name, value]) => CARRIED.includes(name) && value !== properties[name]?.default),
    );
  }

  /** @param {Entry} entry @returns {Promise<string | Workflow>} */
  async #workflowOf({ workflow, body, label, title }) {
    const shown = this.form?.workflow;
    if (workflow !== null) return shown && shown.name === workflow ? shown : this.#named(workflow);
    const graph = writeExactly(body.workflow);
    if (shown?.graph && writeExactly(shown.graph) === graph) return shown;
    return readDropped(new File([graph], label || `${title}.json`, { type: "application/json" }));
  }

  /** @param {string} name */
  #named(name) {
    if (!this.chooser.names.includes(name)) throw new Error(`there is no ${name} here any more.`);
    return name;
  }

  /** @param {Element} [element] */
  #goTo(element) {
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element?.scrollIntoView({ block: "start", behavior: isStill ? "auto" : "smooth" });
  }
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
