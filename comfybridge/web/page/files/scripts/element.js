/** Makes elements. */

/** @typedef {Node | string | number | bigint | null | undefined | false} Child null, undefined and false are left out. */

// what differs from the attribute of the same name once a person has changed it
const STATES = new Set(["value", "checked", "selected", "open"]);

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [properties] attributes by their names, and besides: `class`; `text`, the content;
 *   `dataset` and `style`, objects; `on`, listeners by the names of their events. Names in camel case are properties of
 *   the element. true and false set or remove what an attribute switches (`aria-` attributes get them as words); null
 *   and undefined leave it alone.
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { on = {}, dataset = {}, style = {}, text, ...others } = properties;
  if (text !== undefined && text !== null) element.textContent = String(text);
  append(element, children);
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(style)) element.style.setProperty(name, value);
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  for (const [name, value] of Object.entries(others)) set(element, name, value); // last: a select's value is a child's
  return element;
}

/**
 * Replace what is in an element.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/** @param {Element} element @param {Child[]} children */
function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** @param {HTMLElement} element @param {string} name @param {any} value */
function set(element, name, value) {
  if (value === null || value === undefined) return;
  if (STATES.has(name) || (/[A-Z]/.test(name) && name in element)) Object.assign(element, { [name]: value });
  else if (typeof value === "boolean" && !name.startsWith("aria-")) element.toggleAttribute(name, value);
  else element.setAttribute(name, String(value));
}
