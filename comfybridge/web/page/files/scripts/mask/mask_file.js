/**
 * Makes the file of a mask: white where to repaint, black elsewhere. Where it is white it is transparent too, so that
 * workflows which read the transparency of their mask get the same as those which read its colour.
 */

import { pngOf } from "./png.js";

/** @typedef {import("./drawing.js").Drawing} Drawing */

/** The largest part that is drawn at once, in pixels: canvases have limits, and pages are to stay responsive. */
const TILE = { width: 4096, height: 128 };

/**
 * @param {Drawing} drawing
 * @param {{width: number, height: number}} picture in pixels.
 * @param {object} options
 * @param {string} options.name of the file.
 * @param {boolean} options.isInverted whether the workflow keeps what is white.
 * @param {(share: number) => void} options.onProgress from 0 to 1.
 * @returns {Promise<File>}
 */
export async function maskFile(drawing, picture, { name, isInverted, onProgress }) {
  const rows = rowsOf(drawing, picture, isInverted, onProgress);
  const png = await pngOf({ ...picture, channels: 2 }, rows);
  return new File([png], name, { type: "image/png" });
}

/**
 * @param {Drawing} drawing
 * @param {{width: number, height: number}} picture
 * @param {boolean} isInverted
 * @param {(share: number) => void} onProgress
 * @returns {AsyncGenerator<Uint8Array<ArrayBuffer>>}
 */
async function* rowsOf(drawing, picture, isInverted, onProgress) {
  const { width, height } = picture;
  const flip = isInverted ? 255 : 0;
  for (let y = 0; y < height; y += TILE.height) {
    const count = Math.min(TILE.height, height - y);
    const rows = new Uint8Array(count * (1 + 2 * width));
    for (const { x, alphas, across } of tilesOf(drawing, picture, y, count)) {
      for (let row = 0; row < count; row++) {
        let to = row * (1 + 2 * width) + 1 + 2 * x;
        let from = row * across * 4 + 3;
        for (let column = 0; column < across; column++, from += 4) {
          const white = /** @type {number} */ (alphas[from]) ^ flip;
          rows[to++] = white;
          rows[to++] = 255 - white;
        }
      }
    }
    yield rows;
    onProgress((y + count) / height);
    await new Promise((resolve) => setTimeout(resolve)); // the page lives on
  }
}

/**
 * The parts of a stripe of the mask, drawn one after the other.
 *
 * @param {Drawing} drawing
 * @param {{width: number, height: number}} picture
 * @param {number} y
 * @param {number} count how many rows the stripe has.
 * @returns {Generator<{x: number, across: number, alphas: Uint8ClampedArray}>} alphas: of RGBA pixels.
 */
export function* tilesOf(drawing, picture, y, count) {
  const canvas = document.createElement("canvas");
  canvas.height = count;
  for (let x = 0; x < picture.width; x += TILE.width) {
    const across = Math.min(TILE.width, picture.width - x);
    canvas.width = across; // this empties it
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("The browser cannot draw the mask; choose one as a file.");
    context.setTransform(1, 0, 0, 1, -x, -y);
    drawing.draw(context, { x, y, width: across, height: count }, picture);
    yield { x, across, alphas: context.getImageData(0, 0, across, count).data };
  }
}
