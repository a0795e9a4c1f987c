/** Writes PNG files row by row, so that large ones need little memory. */

const SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** The channels of a pixel, by PNG's colour types. */
const GREY_ALPHA = 4;
const RGBA = 6;

const CRCS = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/**
 * @param {{width: number, height: number, channels: 2 | 4}} form channels: grey and alpha, or RGBA.
 * @param {AsyncIterable<Uint8Array<ArrayBuffer>>} rows one or several rows each, with a 0 before each row.
 * @returns {Promise<Blob>}
 */
export async function pngOf({ width, height, channels }, rows) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits a channel
  header.setUint8(9, channels === 2 ? GREY_ALPHA : RGBA);
  /** @type {BlobPart[]} */
  const parts = [SIGNATURE, chunk("IHDR", new Uint8Array(header.buffer))];
  const packer = new CompressionStream("deflate");
  const packed = packer.readable.getReader();
  const done = feed(packer.writable.getWriter(), rows);
  for (let read = await packed.read(); !read.done; read = await packed.read()) {
    parts.push(chunk("IDAT", new Uint8Array(read.value)));
  }
  await done;
  parts.push(chunk("IEND", new Uint8Array()));
  return new Blob(parts, { type: "image/png" });
}

/**
 * @param {WritableStreamDefaultWriter<BufferSource>} writer
 * @param {AsyncIterable<Uint8Array<ArrayBuffer>>} rows
 */
async function feed(writer, rows) {
  try {
    for await (const each of rows) await writer.write(each);
    await writer.close();
  } catch (error) {
    await writer.abort(error);
    throw error;
  }
}

/**
 * @param {string} type four letters.
 * @param {Uint8Array<ArrayBuffer>} data
 * @returns {Uint8Array<ArrayBuffer>}
 */
function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let index = 0; index < 4; index++) bytes[4 + index] = type.charCodeAt(index);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crcOf(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/** @param {Uint8Array} bytes */
function crcOf(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ /** @type {number} */ (CRCS[(crc ^ byte) & 0xff]);
  return (crc ^ 0xffffffff) >>> 0;
}
