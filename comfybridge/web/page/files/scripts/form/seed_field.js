/** A seed: drawn anew for each request, or kept. */

import { el } from "../element.js";
import { NumberField } from "./number_field.js";
import { numericOf } from "./numbers.js";

/** What makes the bridge draw one. */
const DRAWN = -1;

export class SeedField extends NumberField {
  /** @override */
  arrange() {
    /** @type {import("./numbers.js").Numeric | null} of the last result. */
    this.last = null;
    this.draws = el("input", { type: "checkbox", id: `${this.id}-draw` });
    const label = el("label", { class: "check", for: this.draws.id }, this.draws, "Draw a new one each time");
    this.box.placeholder = "random";
    this.draws.addEventListener("change", () => this.onChoice());
    this.box.addEventListener("input", () => {
      if (this.draws) this.draws.checked = !this.box.value && !this.box.validity.badInput;
    });
    this.show(this.box, label);
    this.element.classList.add("is-wide");
  }

  /** @override */
  read() {
    if (this.draws?.checked) return DRAWN;
    return super.read();
  }

  /** @override @param {unknown} value */
  write(value) {
    const number = numericOf(value);
    const isDrawn = number === null || number < 0;
    if (this.draws) this.draws.checked = isDrawn;
    this.box.value = isDrawn ? "" : String(number);
  }

  /** @override */
  accepted() {
    return `${super.accepted()}, or be drawn`;
  }

  /** Show the seed that is kept from now on, or none. */
  onChoice() {
    if (this.draws?.checked) {
      this.box.value = "";
      return;
    }
    this.box.value = String(this.last ?? randomSeed());
    this.box.focus();
    this.box.select();
  }
}

/** @returns {number} one that every parameter for seeds takes. */
function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}
