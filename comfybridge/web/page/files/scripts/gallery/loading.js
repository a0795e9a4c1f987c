/** Lets cards ask for their results when they come into view, a few at a time. */

const MOST_AT_ONCE = 4;
const AHEAD = "400px";

export class Loading {
  /** @type {Map<Element, () => Promise<void>>} */
  #wanted = new Map();
  /** @type {(() => Promise<void>)[]} */
  #waiting = [];
  #busy = 0;
  #observer = new IntersectionObserver((changes) => this.#seen(changes), { rootMargin: AHEAD });

  /**
   * Call a function once, when an element is in view or near it.
   *
   * @param {Element} element
   * @param {() => Promise<void>} load
   */
  whenSeen(element, load) {
    this.#wanted.set(element, load);
    this.#observer.unobserve(element); // observed anew, one that is in view already is reported
    this.#observer.observe(element);
  }

  /** @param {Element} element which is gone. */
  forget(element) {
    this.#wanted.delete(element);
    this.#observer.unobserve(element);
  }

  /** @param {IntersectionObserverEntry[]} changes */
  #seen(changes) {
    for (const { target, isIntersecting } of changes) {
      const load = this.#wanted.get(target);
      if (!isIntersecting || !load) continue;
      this.forget(target);
      this.#waiting.push(load);
    }
    this.#next();
  }

  #next() {
    while (this.#busy < MOST_AT_ONCE) {
      const load = this.#waiting.shift();
      if (!load) return;
      this.#busy++;
      load().finally(() => {
        this.#busy--;
        this.#next();
      });
    }
  }
}
