/** One of many choices: what is typed narrows the list (the pattern "combobox" of the ARIA practices). */

import { el } from "../element.js";
import { nameOfChoice, placeOf } from "./choices.js";
import { Field } from "./field.js";
import { Problem } from "./problem.js";

/** How many choices are shown at once. */
const MOST_SHOWN = 100;

export class SearchField extends Field {
  /**
   * @param {string} name
   * @param {import("../types.js").Parameter} parameter
   * @param {import("./field.js").FieldOptions & {choices: readonly unknown[], none?: string}} options
   */
  constructor(name, parameter, options) {
    super(name, parameter, options);
    this.choices = options.choices;
    this.names = this.choices.map(nameOfChoice);
    this.active = -1;
    const listId = `${this.id}-list`;
    this.list = el("ul", { class: "search-list", role: "listbox", id: listId, hidden: true });
    this.list.setAttribute("aria-label", "Choices");
    this.box = el("input", {
      type: "text",
      class: "search-box",
      role: "combobox",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: options.none ?? (this.required ? `Search ${this.choices.length}` : "The workflow's own"),
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": listId,
    });
    this.box.addEventListener("input", () => this.open(this.box.value));
    this.box.addEventListener("click", () => (this.list.hidden ? this.open("") : this.close()));
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    this.box.addEventListener("focus", () => this.box.select());
    this.box.addEventListener("blur", () => this.close());
    this.list.addEventListener("pointerdown", (event) => event.preventDefault()); // the box keeps the focus
    this.list.addEventListener("click", (event) => this.onPick(event));
    this.show(el("div", { class: "search" }, this.box, this.list));
    this.reset();
  }

  /** The label and the descriptions belong to the box, not to what is around it. @override @param {HTMLElement} around */
  show(around) {
    super.show(this.box);
    around.insertBefore(this.box, this.list);
    this.element.insertBefore(around, this.help ?? this.error);
  }

  /** @override */
  read() {
    const text = this.box.value.trim();
    if (!text) return undefined;
    const place = this.placeOf(text);
    if (place < 0) throw new Problem(`${this.subject} is ${text}, which is none of its ${this.choices.length} choices.`);
    return this.choices[place];
  }

  /** @override @param {unknown} value */
  write(value) {
    const place = placeOf(value, this.choices);
    this.box.value = place >= 0 ? this.names[place] ?? "" : value == null ? "" : String(value);
  }

  /** @param {string} text */
  placeOf(text) {
    const place = this.names.indexOf(text);
    if (place >= 0) return place;
    const same = this.names.flatMap((name, at) => (name.toLowerCase() === text.toLowerCase() ? [at] : []));
    return same.length === 1 ? same[0] ?? -1 : -1;
  }

  /**
   * Show the choices that hold all words.
   *
   * @param {string} text
   */
  open(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.names.flatMap((name, place) =>
      words.every((word) => name.toLowerCase().includes(word)) ? [place] : [],
    );
    const chosen = this.placeOf(this.box.value.trim());
    const from = words.length ? 0 : Math.max(0, Math.min(found.indexOf(chosen) - 20, found.length - MOST_SHOWN));
    const shown = found.slice(from, from + MOST_SHOWN);
    this.list.replaceChildren(...shown.map((place) => this.option(place, place === chosen)));
    if (shown.length < found.length) {
      this.list.append(el("li", { class: "search-more", role: "presentation", text: `${found.length} in all: type to search` }));
    }
    if (!found.length) this.list.append(el("li", { class: "search-more", role: "presentation", text: "None of this name" }));
    this.list.hidden = false;
    this.list.scrollIntoView({ block: "nearest" }); // it may stand below what is seen, or below the button at the end
    this.box.setAttribute("aria-expanded", "true");
    this.activate(words.length ? (shown.length ? 0 : -1) : shown.indexOf(chosen));
  }

  close() {
    this.list.hidden = true;
    this.box.setAttribute("aria-expanded", "false");
    this.box.removeAttribute("aria-activedescendant");
    this.active = -1;
  }

  /** @param {number} place @param {boolean} isChosen */
  option(place, isChosen) {
    const option = el("li", { role: "option", id: `${this.id}-${place}`, text: this.names[place] ?? "" });
    option.setAttribute("aria-selected", String(isChosen));
    option.dataset.place = String(place);
    return option;
  }

  /** @returns {HTMLElement[]} */
  get options() {
    return [...this.list.querySelectorAll("li")].filter((item) => item.dataset.place !== undefined);
  }

  /** @param {number} index of the option that Enter chooses; -1: none. */
  activate(index) {
    const options = this.options;
    options[this.active]?.classList.remove("is-active");
    this.active = index;
    const option = options[index];
    if (!option) {
      this.box.removeAttribute("aria-activedescendant");
      return;
    }
    option.classList.add("is-active");
    option.scrollIntoView({ block: "nearest" });
    this.box.setAttribute("aria-activedescendant", option.id);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    const isOpen = !this.list.hidden;
    const last = this.options.length - 1;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      if (!isOpen) this.open("");
      else if (this.active < 0) this.activate(step > 0 ? 0 : last);
      else this.activate(Math.min(last, Math.max(0, this.active + step)));
    } else if (event.key === "Enter" && isOpen) {
      event.preventDefault();
      this.choose(this.options[this.active]);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    }
  }

  /** @param {MouseEvent} event */
  onPick(event) {
    const target = /** @type {Element} */ (event.target).closest("li");
    if (target?.dataset.place !== undefined) this.choose(target);
  }

  /** @param {HTMLElement | undefined} option */
  choose(option) {
    if (option?.dataset.place !== undefined) {
      this.box.value = this.names[Number(option.dataset.place)] ?? "";
      this.box.dispatchEvent(new Event("change", { bubbles: true }));
    }
    this.close();
  }
}
