/** The buttons above the picture: what to paint with, and what to do with all of it. */

import { el } from "../element.js";

/**
 * @typedef {import("./brush.js").Brush} Brush
 * @typedef {import("./stage.js").Stage} Stage
 */

/**
 * @param {Brush} brush
 * @param {Stage} stage
 * @param {(text: string) => void} say tells what was done.
 * @returns {{element: HTMLElement, undo: () => void, redo: () => void}}
 */
export function toolsOf(brush, stage, say) {
  const { drawing } = stage;
  const done = (/** @type {string} */ text) => {
    stage.redraw();
    say(text);
  };
  const undo = () => done(drawing.undo() ? "Undone." : "There is nothing to undo.");
  const redo = () => done(drawing.redo() ? "Done again." : "There is nothing to do again.");
  const change = (/** @type {"clear" | "invert"} */ kind, /** @type {string} */ text) => () => {
    drawing.add({ kind });
    done(text);
  };
  const zoom = (/** @type {1 | -1} */ direction) => () => {
    if (stage.zoomBy(direction)) stage.follow();
    say(`Zoom: ${Math.round(stage.zoom * 100)} %.`);
  };
  const element = el(
    "div",
    { class: "mask-tools", role: "group", "aria-label": "Tools" },
    toolButtons(brush),
    group(button("−", zoom(-1), "Zoom out"), button("+", zoom(1), "Zoom in")),
    sizeSlider(brush),
    group(
      button("Undo", undo),
      button("Redo", redo),
      button("Clear", change("clear", "Nothing is painted now.")),
      button("Invert", change("invert", "What was painted is not, and the rest is.")),
    ),
  );
  return { element, undo, redo };
}

/** @param {Brush} brush */
function toolButtons(brush) {
  const paint = button("Paint", () => brush.use(false));
  const erase = button("Erase", () => brush.use(true));
  const show = () => {
    paint.setAttribute("aria-pressed", String(!brush.erases));
    erase.setAttribute("aria-pressed", String(brush.erases));
  };
  brush.addEventListener("change", show);
  show();
  return group(paint, erase);
}

/** @param {Brush} brush a slider whose every step is the same factor. */
function sizeSlider(brush) {
  const input = el("input", { type: "range", class: "mask-size", min: "0", max: "100", step: "1" });
  const show = () => {
    input.value = String(Math.round((Math.log(brush.size) / Math.log(brush.largest)) * 100));
    input.setAttribute("aria-valuetext", `${brush.size} pixels`);
  };
  input.addEventListener("input", () => {
    const size = Math.round(brush.largest ** (Number(input.value) / 100));
    brush.size = size; // the slider stays where it was put
    input.setAttribute("aria-valuetext", `${size} pixels`);
    brush.stage.showBrush(brush.x, brush.y, size);
  });
  brush.addEventListener("change", show);
  show();
  return el("label", { class: "mask-size-label" }, "Brush size", input);
}

/** @param {...HTMLElement} buttons */
function group(...buttons) {
  return el("div", { class: "mask-group" }, ...buttons);
}

/**
 * @param {string} text
 * @param {() => void} click
 * @param {string} [name] where the text is none.
 */
function button(text, click, name) {
  const named = name ? { "aria-label": name, title: name } : {};
  return el("button", { type: "button", text, ...named, on: { click } });
}
