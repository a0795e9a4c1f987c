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
  if (orientation === 1) {
    image.alt = "";
    return { element: image, width, height };
  }
  const isOnItsSide = orientation >= 5;
  const size = isOnItsSide ? { width: height, height: width } : { width, height };
  return { element: turned(image, orientation, size), ...size };
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
  const [a = 1, b = 0, c = 0, d = 1, e = 0, f = 0] = TURNS[orientation - 1] ?? [];
  context?.setTransform(canvas.width, 0, 0, canvas.height, 0, 0);
  context?.transform(a, b, c, d, e, f);
  context?.drawImage(image, 0, 0, 1, 1);
  return canvas;
}
