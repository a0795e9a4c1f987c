/** Which files a parameter takes, as far as a browser can tell, and files in words. */

/** @typedef {"image" | "video" | "audio"} FileKind */

/** @type {Record<FileKind, {what: string, accept: string, pattern: RegExp}>} */
const KINDS = {
  image: { what: "a picture", accept: "image/*", pattern: /^image\// },
  video: { what: "a video", accept: "video/*,image/gif,image/webp", pattern: /^(video\/|image\/(gif|webp|a?png)$)/ },
  audio: { what: "a sound", accept: "audio/*,video/*", pattern: /^(audio|video)\// },
};

/**
 * @param {string | undefined} format of a parameter.
 * @returns {FileKind}
 */
export function fileKindOf(format) {
  return format === "video" || format === "audio" ? format : "image";
}

/** @param {FileKind} kind @returns {string} such as `a picture`. */
export function wordsOf(kind) {
  return KINDS[kind].what;
}

/** @param {FileKind} kind @returns {string} for a file input. */
export function acceptOf(kind) {
  return KINDS[kind].accept;
}

/**
 * @param {FileKind} kind
 * @param {File} file
 * @returns {boolean} whether it may be one of the kind. Of a file without a known type, the bridge judges.
 */
export function mayBe(kind, file) {
  return file.type === "" || file.type === "application/octet-stream" || KINDS[kind].pattern.test(file.type);
}

/** @param {number} bytes @returns {string} such as `3.2 MB`. */
export function sizeText(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const [unit, size] = bytes < 1e6 ? ["kB", bytes / 1e3] : bytes < 1e9 ? ["MB", bytes / 1e6] : ["GB", bytes / 1e9];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}
