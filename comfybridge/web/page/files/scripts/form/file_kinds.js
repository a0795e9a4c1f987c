/** Which files a parameter takes, as far as a browser can tell. */

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
