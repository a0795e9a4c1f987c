/** A number. Arrow keys go in steps that suit its range; integers of any size are read exactly. */

import { el } from "../element.js";
import { Field } from "./field.js";
import { clamped, rangeText } from "./limits.js";
import { numericOf, readInteger, readNumber, stepped } from "./numbers.js";
import { Problem } from "./problem.js";

/**
 * @typedef {import("./numbers.js").Numeric} Numeric
 * @typedef {import("./limits.js").Limits} Limits
 */

/** Sides of pictures, which models want in multiples. */
const SIDES = /^(width|height)(_\d+)?$/;

export class NumberField extends Field {
  /**
   * @param {string} name
   * @param {import("../types.js").Parameter} parameter
   * @param {import("./field.js").FieldOptions & {limits: Limits, isWhole: boolean}} options
   */
  constructor(name, parameter, options) {
    super(name, parameter, options);
    this.limits = options.limits;
    this.isWhole = options.isWhole;
    this.step = stepOf(name, this.limits, this.isWhole);
    this.box = this.makeBox();
    this.arrange();
    this.reset();
  }

  makeBox() {
    const { low, high } = this.limits;
    const box = el("input", {
      type: "number",
      step: "any", // any value may be typed; the arrow keys step by `this.step`
      inputmode: this.isWhole && low !== null && low >= 0 ? "numeric" : low !== null && low >= 0 ? "decimal" : "text",
      autocomplete: "off",
    });
    if (low !== null) box.setAttribute("min", String(low));
    if (high !== null) box.setAttribute("max", String(high));
    if (this.hasDefault) box.placeholder = String(this.parameter.default);
    box.addEventListener("keydown", (event) => this.onKey(event));
    return box;
  }

  /** Put the parts in place; other kinds of number add theirs. */
  arrange() {
    this.show(this.box);
  }

  /** @override @returns {Numeric | undefined} */
  read() {
    const text = this.box.value.trim();
    if (!text && !this.box.validity.badInput) return undefined;
    const number = this.isWhole ? readInteger(text) : readNumber(text);
    if (number === null) throw new Problem(`${this.subject} is ${text || "no number"}; it must be ${this.accepted()}.`);
    const { low, high } = this.limits;
    if ((low !== null && number < low) || (high !== null && number > high)) {
      throw new Problem(`${this.subject} is ${text}; it must be ${this.accepted()}.`);
    }
    return number;
  }

  /** @returns {string} what may be given, for use in a sentence. */
  accepted() {
    return `${this.isWhole ? "an integer" : "a number"}${rangeText(this.limits)}`;
  }

  /** @override @param {unknown} value */
  write(value) {
    const number = numericOf(value);
    this.box.value = number === null ? "" : String(number);
  }

  /** @override @param {unknown} value */
  allows(value) {
    const number = numericOf(value);
    return number === null || number === clamped(number, this.limits);
  }

  /** The workflow's own value, or the highest one that the caller may set. @override */
  reset() {
    const usual = numericOf(this.parameter.default);
    this.write(usual === null ? undefined : clamped(usual, { ...this.limits, low: null }));
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const count = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (count === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const from = numericOf(this.box.value) ?? numericOf(this.parameter.default) ?? this.limits.low ?? 0;
    this.box.value = String(clamped(stepped(from, this.step, count), this.limits));
    this.box.dispatchEvent(new Event("input", { bubbles: true }));
    this.box.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

/**
 * @param {string} name
 * @param {Limits} limits
 * @param {boolean} isWhole
 */
function stepOf(name, { low, high }, isWhole) {
  if (SIDES.test(name)) return 64;
  if (isWhole) return 1;
  const range = low === null || high === null ? 100 : Number(high) - Number(low);
  if (range <= 2) return 0.05;
  return range <= 20 ? 0.1 : 0.5;
}
