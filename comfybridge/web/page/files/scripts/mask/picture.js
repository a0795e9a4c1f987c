/** The picture below a mask, as ComfyUI will see it. */

import { el } from "../element.js";
import { leftToTurn, measured } from "./orientation.js";

/** The longer side of a picture that is turned here, in pixels. */
const LONGEST = 2048;
/** The transforms by EXIF's orientation, of a picture of the size 1 by 1. */
const TURNS = [
  [1, 0, 0, 1, 0, 0],
  [-1, 0, 0, 1, 1, 0],
  [-1, 0, 0, -1, 1, 1],
  [1, 0, 0, -1, 0, 1],
  [0, 1, 1, 0, 0, 0],
  [0, 1, -1, 0, 1, 0],
  [0, -1, -1, 0, 1, 1],
  [0, -1, 1, 0, 0, 1],
];

/**
 * @typedef {object} Picture
 * @property {HTMLElement} element shows it.
 * @property {number} width as ComfyUI loads it, in pixels.
 * @property {number} height
 * @property {() => Promise<(context: CanvasRenderingContext2D) => void>} painter draws it at its own size, turned, where
 *   the context's origin is.
 */

/**
 * @param {File} file
 * @param {string} url of the file.
 * @returns {Promise<Picture>}
 * @throws {Error} if the browser cannot show it.
 */
export async function pictureOf(file, url) {
  const { image, width, height } = await measured(url);
  if (!width || !height) throw new Error("The picture has no size of its own.");
  const orientation = await leftToTurn(file);
  const size = orientation >= 5 ? { width: height, height: width } : { width, height };
  const painter = async () => {
    const bitmap = await createImageBitmap(file);
    return (/** @type {CanvasRenderingContext2D} */ context) => drawTurned(context, bitmap, orientation, size);
  };
  image.alt = "";
  return { element: orientation === 1 ? image : turned(image, orientation, size), ...size, painter };
}

/**
 * @param {HTMLImageElement} image
 * @param {number} orientation
 * @param {{width: number, height: number}} size of the turned picture.
 */
function turned(image, orientation, { width, height }) {
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  const canvas = el("canvas", {});
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  if (context) drawTurned(context, image, orientation, canvas);
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {HTMLImageElement | ImageBitmap} image
 * @param {number} orientation
 * @param {{width: number, height: number}} size of the turned picture.
 */
function drawTurned(context, image, orientation, { width, height }) {
  if (orientation === 1) {
    context.drawImage(image, 0, 0);
    return;
  }
  const [a = 1, b = 0, c = 0, d = 1, e = 0, f = 0] = TURNS[orientation - 1] ?? [];
  context.save();
  context.transform(width, 0, 0, height, 0, 0);
  context.transform(a, b, c, d, e, f);
  context.drawImage(image, 0, 0, 1, 1);
  context.restore();
}
