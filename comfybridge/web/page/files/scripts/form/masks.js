/** Which fields are masks, and of which picture. */

/** @param {string} name of a parameter. @returns {boolean} */
export function isMask(name) {
  return /(^|_)mask(_\d+)?$/.test(name);
}

/**
 * @param {string} mask its name.
 * @param {string[]} images the names of the other pictures.
 * @returns {string | undefined} the name of the picture that it lies over.
 */
export function pictureOf(mask, images) {
  const like = [mask.replace(/mask(?=(_\d+)?$)/, "image"), mask.replace(/_mask(?=(_\d+)?$)/, "")];
  return like.find((name) => images.includes(name)) ?? images[0];
}
