/** Makes the file of what was painted: a mask of its own, or the picture with a mask as its transparency. */

import { pngOf } from "./png.js";

/**
 * @typedef {import("./drawing.js").Drawing} Drawing
 * @typedef {import("./drawing.js").Area} Area
 * @typedef {import("./picture.js").Picture} Picture
 *
 * @typedef {object} Options
 * @property {Drawing} drawing
 * @property {Picture} picture
 * @property {string} name of the file.
 * @property {(share: number) => void} onProgress from 0 to 1.
 */

/** The largest part that is drawn at once, in pixels: canvases have limits, and the page is to stay responsive. */
const TILE = { width: 4096, height: 128 };

/**
 * A picture that is white where to repaint and black elsewhere. Where it is white it is transparent too, so that
 * workflows which read the transparency of their mask get the same as those which read its colour.
 *
 * @param {Options} options
 * @param {boolean} isInverted whether the workflow keeps what is white.
 * @returns {Promise<File>}
 */
export function maskFile(options, isInverted) {
  const flip = isInverted ? 255 : 0;
  const maskOf = tiles(options.picture, (context, area) => options.drawing.draw(context, area, options.picture));
  return fileOf(options, 2, (rows, area, start, length) => {
    const mask = maskOf(area);
    for (let row = 0, from = 3; row < area.height; row++) {
      let to = row * length + start;
      for (let column = 0; column < area.width; column++, from += 4) {
        const white = /** @type {number} */ (mask[from]) ^ flip;
        rows[to++] = white;
        rows[to++] = 255 - white;
      }
    }
  });
}

/**
 * The picture itself, transparent where to repaint.
 *
 * @param {Options} options
 * @returns {Promise<File>}
 */
export async function maskedFile(options) {
  const { drawing, picture } = options;
  const paint = await picture.painter();
  const maskOf = tiles(picture, (context, area) => drawing.draw(context, area, picture));
  const coloursOf = tiles(picture, paint);
  return fileOf(options, 4, (rows, area, start, length) => {
    const mask = maskOf(area);
    const colours = coloursOf(area);
    for (let at = 3; at < colours.length; at += 4) {
      colours[at] = Math.min(/** @type {number} */ (colours[at]), 255 - /** @type {number} */ (mask[at]));
    }
    const across = 4 * area.width;
    for (let row = 0; row < area.height; row++) {
      rows.set(colours.subarray(row * across, (row + 1) * across), row * length + start);
    }
  });
}

/**
 * @param {Options} options
 * @param {2 | 4} channels grey and alpha, or RGBA.
 * @param {(rows: Uint8Array, area: Area, start: number, length: number) => void} put puts an area's pixels into the
 *   rows of its height; start: where they begin in each row; length: of a row.
 * @returns {Promise<File>}
 */
async function fileOf({ picture, name, onProgress }, channels, put) {
  const { width, height } = picture;
  const length = 1 + channels * width;
  const png = await pngOf({ width, height, channels }, stripes());
  return new File([png], name, { type: "image/png" });

  async function* stripes() {
    for (let y = 0; y < height; y += TILE.height) {
      const count = Math.min(TILE.height, height - y);
      const rows = new Uint8Array(count * length);
      for (let x = 0; x < width; x += TILE.width) {
        const area = { x, y, width: Math.min(TILE.width, width - x), height: count };
        put(rows, area, 1 + channels * x, length);
      }
      if (channels === 4) filter(rows, length);
      yield rows;
      onProgress((y + count) / height);
      await new Promise((resolve) => setTimeout(resolve)); // the page lives on
    }
  }
}

/**
 * Write each pixel as its difference from the one before, which makes the file of a photo about half as large.
 *
 * @param {Uint8Array} rows of RGBA.
 * @param {number} length of a row.
 */
function filter(rows, length) {
  for (let start = 0; start < rows.length; start += length) {
    for (let at = start + length - 1; at > start + 4; at--) {
      rows[at] = /** @type {number} */ (rows[at]) - /** @type {number} */ (rows[at - 4]);
    }
    rows[start] = 1; // PNG's name for this filter
  }
}

/**
 * @param {{width: number, height: number}} picture
 * @param {(context: CanvasRenderingContext2D, area: Area) => void} draw draws the picture's pixels.
 * @returns {(area: Area) => Uint8ClampedArray} the RGBA pixels of a part.
 */
function tiles(picture, draw) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.min(TILE.width, picture.width);
  canvas.height = Math.min(TILE.height, picture.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("The browser cannot draw here.");
  return (area) => {
    context.resetTransform();
    context.globalCompositeOperation = "source-over";
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(1, 0, 0, 1, -area.x, -area.y);
    draw(context, area);
    return context.getImageData(0, 0, area.width, area.height).data;
  };
}
