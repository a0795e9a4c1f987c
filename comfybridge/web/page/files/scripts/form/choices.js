/** The choices of a parameter. */

/** @param {unknown} choice @returns {string} */
export function nameOfChoice(choice) {
  if (choice === true) return "Yes";
  if (choice === false) return "No";
  return choice === "" ? "(empty)" : String(choice);
}

/**
 * @param {unknown} value
 * @param {readonly unknown[]} choices
 * @returns {number} where it stands among them, slashes in either direction; -1 if nowhere.
 */
export function placeOf(value, choices) {
  const place = choices.findIndex((choice) => choice === value);
  if (place >= 0 || value == null) return place;
  const plain = plainly(value);
  return choices.findIndex((choice) => plainly(choice) === plain);
}

/** @param {unknown} choice */
function plainly(choice) {
  return String(choice).replaceAll("\\", "/");
}
