/** What people read in place of a parameter's name. */

/** Words that are not written as the others are. */
const SPELLED = new Map(
  ["CFG", "LoRA", "VAE", "CLIP", "FPS", "URL", "ID", "UNet", "IP", "SD", "CPU", "GPU", "RGB", "3D"].map((word) => [
    word.toLowerCase(),
    word,
  ]),
);

/**
 * @param {string} name such as `negative_prompt` or `cfg`; names that are not words, such as `6.text`, stay.
 * @returns {string} such as `Negative prompt` or `CFG`.
 */
export function labelOf(name) {
  if (!/^[a-z][a-z0-9_ -]*$/i.test(name)) return name;
  const words = name.split(/[_ -]+/).filter(Boolean);
  const spelled = words.map((word) => SPELLED.get(word.toLowerCase()) ?? word);
  const text = spelled.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
