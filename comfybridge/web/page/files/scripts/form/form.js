/** The form of a workflow: a field for each parameter, made from its JSON Schema. */

import { el } from "../element.js";
import { fieldFor } from "./fields.js";
import { listenForPaste, takeFile } from "./incoming.js";
import { layOut } from "./layout.js";
import { addMaskTools } from "./mask_tool.js";
import { groupsOf } from "./order.js";
import { PresetField } from "./presets.js";
import { contentOf } from "./reading.js";
import { runFields } from "./run_fields.js";
import { SeedField } from "./seed_field.js";

/**
 * @typedef {import("../types.js").Workflow} Workflow
 * @typedef {import("../types.js").Policy} Policy
 * @typedef {import("../types.js").Values} Values
 * @typedef {import("../types.js").Content} Content
 * @typedef {import("./field.js").Field} Field
 */

let count = 0;

/** Dispatches `submit` when somebody wants to run it. */
export class WorkflowForm extends EventTarget {
  /**
   * @param {Workflow} workflow
   * @param {Policy} policy
   * @param {Values} [values] in place of the workflow's own.
   */
  constructor(workflow, policy, values = {}) {
    super();
    this.workflow = workflow;
    this.policy = policy;
    this.isBusy = false;
    const id = `form-${++count}`;
    const { properties, required = [] } = workflow.parameters;
    /** @type {Map<string, Field>} */
    this.fields = new Map();
    Object.entries(properties).forEach(([name, parameter], index) => {
      const options = { id: `${id}-${index}`, required: required.includes(name), policy };
      this.fields.set(name, fieldFor(name, parameter, options));
    });
    this.presets = Object.entries(workflow.presets ?? {})
      .map(([name, settings], index) => new PresetField(name, settings, { id: `${id}-preset-${index}`, fields: this.fields }))
      .filter(({ choices }) => choices.length > 0);
    addMaskTools(this.fields, workflow.mask);
    this.run = runFields(policy, id, Object.hasOwn(properties, "seed"));
    this.submit = el("button", { type: "submit", class: "primary generate", text: "Generate" });
    const parts = { ...groupsOf(workflow), fields: this.fields, presets: this.presets, run: this.run };
    const layout = layOut(workflow, parts, el("div", { class: "form-actions" }, this.submit));
    this.element = layout.form;
    this.more = layout.more;
    this.listen();
    this.fill(values);
  }

  listen() {
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.isBusy) this.dispatchEvent(new Event("submit"));
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.element.requestSubmit();
    });
    this.element.addEventListener("input", () => this.followPresets());
    this.element.addEventListener("change", () => this.followPresets());
    listenForPaste(this);
  }

  followPresets() {
    for (const preset of this.presets) preset.follow();
  }

  /**
   * The content of the request; null if a field has a problem, which is then shown at the field.
   *
   * @returns {Content | null}
   */
  read() {
    this.clearErrors();
    const { content, problems } = contentOf(this);
    for (const [field, problem] of problems) field.showError(problem);
    const first = [...this.element.querySelectorAll("[aria-invalid='true']")].find((each) => each.id);
    if (!first) return content;
    if (this.more.querySelector("[aria-invalid='true']")) this.more.open = true;
    this.goTo(/** @type {HTMLElement} */ (first));
    return null;
  }

  /** @returns {Values} what the form holds, without what is not accepted; `fill` takes all of it. */
  values() {
    const given = this.allFields().map((field) => /** @type {const} */ ([field.name, field.value]));
    return Object.fromEntries(given.filter(([, value]) => value !== undefined).reverse()); // parameters win
  }

  /**
   * Set fields; others stay. Names that the form does not have are ignored.
   *
   * @param {Values} values by parameter; also `n`, `timeout`, `output`, and presets by their names.
   */
  fill(values) {
    const { output, ...others } = values;
    const named = Object.entries(output ?? {}).map(([name, value]) => /** @type {const} */ ([`output.${name}`, value]));
    for (const [name, value] of [...named, ...Object.entries(this.fields.has("output") ? values : others)]) {
      const field = this.fields.get(name) ?? this.allFields().find((each) => each.name === name);
      field?.write(value);
      field?.clearError();
    }
    this.followPresets();
    this.run.showQuality();
  }

  /** Go back to the workflow's own values. */
  reset() {
    for (const field of this.allFields()) field.reset();
    this.clearErrors();
    this.followPresets();
    this.run.showQuality();
  }

  /** @param {File} file @returns {boolean} whether there was a field for it. */
  takeFile(file) {
    return takeFile(this, file);
  }

  /** @param {number | bigint} seed of the last result: the one that is kept if seeds are no longer drawn. */
  setLastSeed(seed) {
    for (const field of this.fields.values()) if (field instanceof SeedField) field.last = seed;
  }

  /**
   * @param {string} field a parameter, or another field of the request, as the bridge names it.
   * @param {string} text the bridge's sentence.
   * @returns {boolean} whether the form has the field.
   */
  showError(field, text) {
    const found = this.fieldOf(field);
    if (!found) return false;
    found.showError(text);
    const { activeElement } = document;
    const isFree = activeElement === document.body || activeElement === this.submit || activeElement === null;
    if (found.control && isFree) this.goTo(found.control);
    return true;
  }

  clearErrors() {
    for (const field of this.allFields()) field.clearError();
  }

  /** @param {boolean} isBusy whether a request is being sent. */
  setBusy(isBusy) {
    this.isBusy = isBusy;
    this.submit.setAttribute("aria-disabled", String(isBusy)); // not `disabled`, which takes the focus away
    this.element.setAttribute("aria-busy", String(isBusy));
  }

  /** @returns {Field[]} */
  allFields() {
    const { n, timeout, format, quality } = this.run;
    return [...this.fields.values(), ...this.presets, ...(n ? [n] : []), timeout, format, quality];
  }

  /** @param {string} name @returns {Field | undefined} */
  fieldOf(name) {
    const plain = name.replace(/^(params|images|presets)\./, "");
    return (
      this.fields.get(name) ??
      this.fields.get(plain) ??
      this.allFields().find((field) => field.name === name || field.name === plain) ??
      { output: this.run.format, presets: this.presets[0] }[name]
    );
  }

  /** @param {HTMLElement} control */
  goTo(control) {
    if (this.more.contains(control)) this.more.open = true;
    control.focus();
    control.closest(".field")?.scrollIntoView({ block: "nearest" });
  }
}
