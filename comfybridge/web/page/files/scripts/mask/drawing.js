/** What was painted, as a list of steps in the picture's own pixels: it can be undone, and drawn at any size. */

/**
 * @typedef {{kind: "stroke", erases: boolean, size: number, points: [number, number][]}} Stroke size: in pixels.
 * @typedef {Stroke | {kind: "clear"} | {kind: "invert"}} Step
 * @typedef {{x: number, y: number, width: number, height: number}} Area
 */

export class Drawing {
  constructor() {
    /** @type {Step[]} */
    this.steps = [];
    /** @type {Step[]} */
    this.undone = [];
  }

  /** @param {Step} step */
  add(step) {
    this.steps.push(step);
    this.undone = [];
  }

  /** @returns {boolean} whether there was something to undo. */
  undo() {
    const step = this.steps.pop();
    if (step) this.undone.push(step);
    return step !== undefined;
  }

  /** @returns {boolean} whether there was something to redo. */
  redo() {
    const step = this.undone.pop();
    if (step) this.steps.push(step);
    return step !== undefined;
  }

  /**
   * @param {CanvasRenderingContext2D} context empty, with the picture's pixels as its units.
   * @param {Area} area the part of the picture that is seen.
   * @param {{width: number, height: number}} picture
   */
  draw(context, area, picture) {
    for (const step of this.stepsSinceClear()) drawStep(context, step, area, picture);
  }

  /** @returns {Step[]} those that still show. */
  stepsSinceClear() {
    return this.steps.slice(this.steps.map((step) => step.kind).lastIndexOf("clear") + 1);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Step} step
 * @param {Area} area
 * @param {{width: number, height: number}} picture
 */
function drawStep(context, step, area, picture) {
  if (step.kind === "stroke") {
    if (touches(step, area)) drawStroke(context, step);
  } else if (step.kind === "invert") {
    context.globalCompositeOperation = "xor";
    context.fillRect(0, 0, picture.width, picture.height);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Stroke} stroke
 * @param {number} [from] the first point to draw; the line begins at the one before.
 */
export function drawStroke(context, { erases, size, points }, from = 0) {
  const [first, ...others] = points.slice(Math.max(0, from - 1));
  if (!first) return;
  context.globalCompositeOperation = erases ? "destination-out" : "source-over";
  context.lineWidth = size;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.beginPath();
  context.moveTo(...first);
  if (!others.length) context.lineTo(...first); // round ends make it a dot
  for (const point of others) context.lineTo(...point);
  context.stroke();
}

/** @param {Stroke} stroke @param {Area} area */
function touches({ points, size }, area) {
  const reach = size / 2 + 1;
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return (
    right + reach >= area.x &&
    left - reach <= area.x + area.width &&
    bottom + reach >= area.y &&
    top - reach <= area.y + area.height
  );
}
