/**
 * How a picture is turned. ComfyUI turns every picture as its EXIF says, so a mask must fit the turned one. Browsers do
 * so too, but some not for WebP.
 */

const ORIENTATION = 0x0112;
/** A WebP of 2 by 1 pixels, to be turned by 90 degrees. */
const TURNED =
  "data:image/webp;base64,UklGRlIAAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TBEAAAAvAQAAAAfQ//73v/+BiOh/AABFWElGGgAAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA";

/** @type {Promise<boolean> | undefined} */
let turnsByItself;

/**
 * @param {File} file
 * @returns {Promise<number>} how the picture that the browser shows is still to be turned, 1 (not at all) to 8 as EXIF
 *   counts.
 */
export async function leftToTurn(file) {
  const bytes = new DataView(await file.slice(0, 32).arrayBuffer());
  if (bytes.byteLength < 32 || textAt(bytes, 0) !== "RIFF" || textAt(bytes, 8) !== "WEBP") return 1;
  const orientation = await orientationOf(file);
  if (orientation === 1) return 1;
  turnsByItself ??= measured(TURNED).then(({ width }) => width === 1);
  return (await turnsByItself) ? 1 : orientation;
}

/**
 * @param {string} url
 * @returns {Promise<{image: HTMLImageElement, width: number, height: number}>}
 * @throws {Error} if the browser cannot show it.
 */
export async function measured(url) {
  const image = new Image();
  await new Promise((resolve, reject) => {
    image.onload = resolve;
    image.onerror = () => reject(new Error("The browser cannot show this picture."));
    image.src = url;
  });
  return { image, width: image.naturalWidth, height: image.naturalHeight };
}

/** @param {File} file a WebP. */
async function orientationOf(file) {
  let at = 12;
  while (at + 8 <= file.size) {
    const head = new DataView(await file.slice(at, at + 8).arrayBuffer());
    const size = head.getUint32(4, true);
    if (textAt(head, 0) === "EXIF") {
      return inExif(new DataView(await file.slice(at + 8, at + 8 + Math.min(size, 65536)).arrayBuffer()));
    }
    at += 8 + size + (size % 2);
  }
  return 1;
}

/** @param {DataView} exif */
function inExif(exif) {
  try {
    const start = textAt(exif, 0) === "Exif" ? 6 : 0;
    const isLittle = exif.getUint16(start) === 0x4949;
    const directory = start + exif.getUint32(start + 4, isLittle);
    const count = exif.getUint16(directory, isLittle);
    for (let index = 0; index < count; index++) {
      const entry = directory + 2 + 12 * index;
      if (exif.getUint16(entry, isLittle) !== ORIENTATION) continue;
      const value = exif.getUint16(entry + 8, isLittle);
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the block is cut off
  }
  return 1;
}

/** @param {DataView} bytes @param {number} at */
function textAt(bytes, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((offset) => bytes.getUint8(at + offset)));
}
