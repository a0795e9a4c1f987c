/** The gallery's entries, in the browser's storage. */

import { parseExactly, writeExactly } from "../exact_json.js";

/** @typedef {import("./entry.js").Entry} Entry */

const MOST_ENTRIES = 60;

/**
 * The newest entries of one owner, newest first. Fires "change" when another tab has changed them.
 *
 * Where the storage is forbidden or full, entries last as long as the page.
 */
export class Store extends EventTarget {
  /** @type {Map<string, Entry>} those that the storage did not take. */
  #unstored = new Map();
  #name;

  /** @param {string | null} owner the name of the API key's owner; null without keys. */
  constructor(owner) {
    super();
    // several bridges may lie below one address
    this.#name = `comfybridge ${new URL(".", document.baseURI).pathname} ${owner ?? ""}`;
    addEventListener("storage", (event) => {
      if (event.key === this.#name || event.key === null) this.dispatchEvent(new Event("change"));
    });
  }

  /** @returns {Entry[]} */
  get entries() {
    const stored = this.#read().filter((entry) => !this.#unstored.has(entry.id));
    return newestOf([...this.#unstored.values(), ...stored]);
  }

  /** Whether entries that have just been put are in the storage. */
  get isKept() {
    return !this.#unstored.size;
  }

  /** @param {Entry} entry a new one, or another state of one. */
  put(entry) {
    this.#unstored.delete(entry.id);
    const entries = newestOf([entry, ...this.#read().filter(({ id }) => id !== entry.id)]);
    if (!this.#write(entries, entry.id)) this.#unstored.set(entry.id, entry);
  }

  /** @param {string} id */
  remove(id) {
    this.#unstored.delete(id);
    this.#write(this.#read().filter((entry) => entry.id !== id), "");
  }

  /** @param {string} workflowName @returns {Entry | undefined} the newest that has succeeded. */
  latestOf(workflowName) {
    return this.entries.find(({ workflow, state }) => workflow === workflowName && state === "succeeded");
  }

  /** @returns {Entry[]} */
  #read() {
    try {
      const entries = parseExactly(localStorage.getItem(this.#name) ?? "[]");
      return Array.isArray(entries) ? entries.filter(isEntry) : [];
    } catch {
      return []; // forbidden, or not ours
    }
  }

  /**
   * Write entries; older ones go if they do not fit.
   *
   * @param {Entry[]} entries newest first.
   * @param {string} needed the id of the entry that matters.
   * @returns {boolean} whether that one has been written.
   */
  #write(entries, needed) {
    for (let kept = entries; ; kept = kept.slice(0, -1)) {
      if (needed && !kept.some(({ id }) => id === needed)) return false;
      try {
        localStorage.setItem(this.#name, writeExactly(kept));
        return true;
      } catch {
        if (!kept.length) return false;
      }
    }
  }
}

/**
 * Whether a value is an entry as this page writes them: one of another version, or damaged, must not keep the page from
 * showing the others.
 *
 * @param {any} value
 * @returns {value is Entry}
 */
function isEntry(value) {
  if (value === null || typeof value !== "object") return false;
  const { body, fileNames, params } = value;
  return (
    [value.id, value.created, value.title, value.state].every((each) => typeof each === "string") &&
    [value.promptIds, value.seeds, value.warnings].every(Array.isArray) &&
    [body, fileNames, params].every((each) => each !== null && typeof each === "object")
  );
}

/** @param {Entry[]} entries */
function newestOf(entries) {
  return entries.sort((one, other) => other.created.localeCompare(one.created)).slice(0, MOST_ENTRIES);
}
