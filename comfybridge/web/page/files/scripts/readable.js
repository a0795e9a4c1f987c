/** Whether chosen files can be read still. Browsers do not read one that has changed since it was chosen. */

/** A file of a request cannot be read, so nothing was sent. Its message is a sentence for people. */
export class UnreadableFile extends Error {
  /** @param {string} field the part of the form that the file is. @param {File} file */
  constructor(field, file) {
    const why = "it is a folder, or was changed, moved or deleted after it was chosen";
    super(`${file.name || "The file"} cannot be read: ${why}. Choose it again.`);
    this.name = "UnreadableFile";
    this.field = field;
  }
}

/**
 * @param {FormData} form
 * @returns {Promise<UnreadableFile | null>} the first of its files that cannot be read; null if all can.
 */
export async function unreadableIn(form) {
  for (const [field, value] of form) {
    if (value instanceof File && !(await isReadable(value))) return new UnreadableFile(field, value);
  }
  return null;
}

/** @param {File} file @returns {Promise<boolean>} */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
