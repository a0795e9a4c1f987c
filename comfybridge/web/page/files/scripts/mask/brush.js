/** Paints on a stage: with a mouse, a pen, a finger, or the keys. */

/**
 * @typedef {import("./stage.js").Stage} Stage
 * @typedef {import("./drawing.js").Stroke} Stroke
 */

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const GROWTH = 1.25;

/** Dispatches `change` when the tool, the size or the place has changed, and `stroke` after each stroke. */
export class Brush extends EventTarget {
  /** @param {Stage} stage */
  constructor(stage) {
    super();
    this.stage = stage;
    const { width, height } = stage.picture;
    this.largest = Math.max(4, Math.min(width, height));
    this.size = Math.max(2, Math.round(this.largest / 12));
    this.erases = false;
    [this.x, this.y] = [width / 2, height / 2];
    /** @type {Stroke | null} the stroke that is being painted. */
    this.stroke = null;
    /** @type {string | number | null} what paints it: a key, or a pointer's id. */
    this.by = null;
    this.listen();
    this.changed();
  }

  listen() {
    const { canvas } = this.stage;
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    canvas.addEventListener("pointerup", (event) => this.end(event.pointerId));
    canvas.addEventListener("pointercancel", (event) => this.cancel(event.pointerId));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    canvas.addEventListener("keyup", (event) => this.end(event.code));
    canvas.addEventListener("blur", () => this.end(this.by));
  }

  changed() {
    this.stage.showBrush(this.x, this.y, this.size);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number} size in the picture's pixels. */
  resize(size) {
    this.size = Math.min(this.largest, Math.max(1, Math.round(size)));
    this.changed();
  }

  /** @param {number} direction 1: larger, -1: smaller. */
  grow(direction) {
    const size = this.size * GROWTH ** direction;
    this.resize(Math.abs(size - this.size) < 1 ? this.size + direction : size);
  }

  /** @param {boolean} erases */
  use(erases) {
    this.erases = erases;
    this.changed();
  }

  /** @param {string | number} by */
  begin(by) {
    this.by = by;
    this.stroke = { kind: "stroke", erases: this.erases, size: this.size, points: [] };
    this.paint();
  }

  /** Add the place of the brush to the stroke. */
  paint() {
    if (!this.stroke) return;
    this.stroke.points.push([this.x, this.y]);
    this.stage.extend(this.stroke, this.stroke.points.length - 1);
  }

  /** @param {string | number | null} by what has ended; others go on. */
  end(by) {
    if (!this.stroke || by !== this.by) return;
    this.stage.drawing.add(this.stroke);
    this.stroke = this.by = null;
    this.dispatchEvent(new Event("stroke"));
  }

  /** Forget a stroke, as where a second finger has begun to zoom. @param {number} by */
  cancel(by) {
    if (!this.stroke || by !== this.by) return;
    this.stroke = this.by = null;
    this.stage.redraw();
  }

  /** @param {PointerEvent} event */
  onDown(event) {
    if (this.stroke || event.button !== 0) return;
    event.preventDefault(); // keeps the page from selecting
    const { canvas } = this.stage;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    [this.x, this.y] = this.stage.pointAt(event.clientX, event.clientY);
    this.begin(event.pointerId);
    this.changed();
  }

  /** @param {PointerEvent} event */
  onMove(event) {
    const isPainting = this.stroke !== null && this.by === event.pointerId;
    if (this.stroke && !isPainting) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const each of isPainting && moves.length ? moves : [event]) {
      [this.x, this.y] = this.stage.pointAt(each.clientX, each.clientY);
      if (isPainting) this.paint();
    }
    this.stage.showBrush(this.x, this.y, this.size);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow) this.step(arrow, event.shiftKey);
    else if (event.code === "Space" || event.code === "KeyE") this.onPaintKey(event);
    else if (event.key === "[") this.grow(-1);
    else if (event.key === "]") this.grow(1);
    else return;
    event.preventDefault();
  }

  /** Space paints, E erases, for as long as it is held. @param {KeyboardEvent} event */
  onPaintKey(event) {
    if (event.repeat || this.stroke) return;
    this.use(event.code === "KeyE");
    this.begin(event.code);
  }

  /** @param {[number, number]} direction @param {boolean} isFar */
  step([across, down], isFar) {
    const { width, height } = this.stage.picture;
    const far = isFar ? Math.max(width, height) / 8 : Math.max(1, this.size / 3);
    this.x = Math.min(width, Math.max(0, this.x + across * far));
    this.y = Math.min(height, Math.max(0, this.y + down * far));
    if (typeof this.by === "string") this.paint();
    this.changed();
    this.stage.follow();
  }
}
