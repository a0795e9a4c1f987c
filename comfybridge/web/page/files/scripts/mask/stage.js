/** The picture with its mask over it, at the resolution of the screen, and the brush. */

import { el } from "../element.js";
import { drawStroke } from "./drawing.js";

/**
 * @typedef {import("./drawing.js").Drawing} Drawing
 * @typedef {import("./drawing.js").Stroke} Stroke
 * @typedef {import("./picture.js").Picture} Picture
 */

/** The longer side of what is painted on, in pixels; strokes are drawn at the picture's own size in the end. */
const LONGEST = 2048;
const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];

export class Stage {
  /**
   * @param {Picture} picture
   * @param {Drawing} drawing
   */
  constructor(picture, drawing) {
    this.picture = picture;
    this.drawing = drawing;
    this.zoom = 1;
    /** How many pixels of the screen one of the picture has. */
    this.scale = 1;
    this.canvas = el("canvas", { class: "mask-canvas", tabindex: 0, role: "application" });
    this.canvas.setAttribute("aria-label", "Mask: the part to repaint");
    this.brush = el("div", { class: "mask-brush" });
    picture.element.classList.add("mask-picture");
    this.sheet = el("div", { class: "mask-sheet" }, picture.element, this.canvas, this.brush);
    this.element = el("div", { class: "mask-stage" }, this.sheet);
    this.stripes = stripesOf("#e0218a", "#35f0c0");
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.element);
  }

  close() {
    this.observer.disconnect();
  }

  /** Make the picture as large as there is room, times the zoom. */
  fit() {
    const { width, height } = this.picture;
    const { clientWidth, clientHeight } = this.element;
    if (!clientWidth || !clientHeight) return;
    const scale = Math.min(clientWidth / width, clientHeight / height, 4) * this.zoom;
    if (scale === this.scale && this.canvas.style.width) return;
    this.scale = scale;
    this.sheet.style.width = `${width * scale}px`;
    this.sheet.style.height = `${height * scale}px`;
    this.canvas.style.width = "100%"; // tells that the size is set
    const dense = scale * Math.min(devicePixelRatio, 2);
    const density = Math.min(dense, LONGEST / Math.max(width, height));
    this.canvas.width = Math.max(1, Math.round(width * density));
    this.canvas.height = Math.max(1, Math.round(height * density));
    this.redraw();
    this.moved();
  }

  /** @param {1 | -1} direction in or out. @returns {boolean} whether it changed. */
  zoomBy(direction) {
    const next = ZOOMS[ZOOMS.indexOf(this.zoom) + direction];
    if (next === undefined) return false;
    this.zoom = next;
    this.fit();
    return true;
  }

  /** @returns {CanvasRenderingContext2D} with the picture's pixels as its units. */
  context() {
    const context = this.canvas.getContext("2d");
    if (!context) throw new Error("The browser cannot draw here.");
    const { width, height } = this.picture;
    context.setTransform(this.canvas.width / width, 0, 0, this.canvas.height / height, 0, 0);
    const stripes = context.createPattern(this.stripes, "repeat");
    stripes?.setTransform(new DOMMatrix().scale(width / this.canvas.width, height / this.canvas.height));
    if (stripes) context.fillStyle = context.strokeStyle = stripes;
    return context;
  }

  redraw() {
    const { width, height } = this.picture;
    const context = this.context();
    context.clearRect(0, 0, width, height);
    this.drawing.draw(context, { x: 0, y: 0, width, height }, this.picture);
  }

  /** @param {Stroke} stroke @param {number} from the first new point. */
  extend(stroke, from) {
    drawStroke(this.context(), stroke, from);
  }

  /**
   * @param {number} clientX
   * @param {number} clientY
   * @returns {[number, number]} in the picture's pixels.
   */
  pointAt(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.picture;
    return [((clientX - box.left) / box.width) * width, ((clientY - box.top) / box.height) * height];
  }

  /** @param {number} x @param {number} y @param {number} size in the picture's pixels. */
  showBrush(x, y, size) {
    this.shown = { x, y, size };
    this.moved();
  }

  /** Put the brush where it is, at the present scale. */
  moved() {
    if (!this.shown) return;
    const { x, y, size } = this.shown;
    const across = size * this.scale;
    this.brush.style.width = this.brush.style.height = `${across}px`;
    this.brush.style.transform = `translate(${x * this.scale - across / 2}px, ${y * this.scale - across / 2}px)`;
  }

  /** Scroll to the brush, where the picture is larger than its frame. */
  follow() {
    if (!this.shown) return;
    const { clientWidth, clientHeight, scrollLeft, scrollTop } = this.element;
    const [x, y] = [this.shown.x * this.scale, this.shown.y * this.scale];
    if (x < scrollLeft || x > scrollLeft + clientWidth) this.element.scrollLeft = x - clientWidth / 2;
    if (y < scrollTop || y > scrollTop + clientHeight) this.element.scrollTop = y - clientHeight / 2;
  }
}

/**
 * Stripes of two colours, of which at least one differs from any picture's.
 *
 * @param {string} one
 * @param {string} other
 */
function stripesOf(one, other) {
  const canvas = el("canvas", { width: 12, height: 12 });
  const context = canvas.getContext("2d");
  if (!context) return canvas;
  context.fillStyle = one;
  context.fillRect(0, 0, 12, 12);
  context.strokeStyle = other;
  context.lineWidth = 3;
  for (const shift of [-12, 0, 12]) {
    context.moveTo(shift - 6, 18);
    context.lineTo(shift + 18, -6);
  }
  context.stroke();
  return canvas;
}
