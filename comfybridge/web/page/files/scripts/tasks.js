/** Tasks of workflows, in words. */

/** @type {Record<string, string>} */
const WORDS = {
  txt2img: "Text to picture",
  img2img: "Picture to picture",
  inpaint: "Repaint a part",
  edit: "Edit a picture",
  upscale: "Enlarge",
};

/** @param {string} task @returns {string} */
export function taskInWords(task) {
  return WORDS[task] ?? task.charAt(0).toUpperCase() + task.slice(1).replaceAll("_", " ");
}
