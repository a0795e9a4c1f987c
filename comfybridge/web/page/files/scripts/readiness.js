/** Watches whether the bridge and ComfyUI answer, and says so while they do not. */

import { announce } from "./announce.js";
import { ApiError, NetworkError, api } from "./api.js";
import { el, fill } from "./element.js";
import { pause } from "./run/pauses.js";

const SECONDS = 15;
const SECONDS_WHILE_AWAY = 3;

/**
 * Watch as long as the page is there. Nothing is asked while it is not seen.
 *
 * @param {HTMLElement} place shows what is wrong.
 * @param {() => void} onBack called when all is well again.
 * @param {string} [meanwhile] what else to say while it is not.
 */
export async function watchReadiness(place, onBack, meanwhile = "") {
  let before = "";
  for (;;) {
    const wrong = await whatIsWrong();
    if (wrong !== before) {
      fill(place, wrong && notice(wrong, meanwhile));
      announce(wrong || "ComfyUI answers again.");
      if (!wrong) onBack();
    }
    before = wrong;
    await pause(wrong ? SECONDS_WHILE_AWAY : SECONDS, { untilOnline: true });
    await untilSeen();
  }
}

/** @returns {Promise<string>} a sentence; empty if nothing is. */
async function whatIsWrong() {
  try {
    await api("ready");
  } catch (error) {
    if (error instanceof NetworkError) return "The bridge does not answer.";
    if (!(error instanceof ApiError)) throw error;
    if (error.type === "") return "The bridge cannot be reached through its proxy.";
    if (error.type === "comfyui_unreachable" || error.type === "engine_unreachable") return error.message;
  }
  return ""; // a bridge without a free slot is well
}

/** @param {string} sentence @param {string} meanwhile */
function notice(sentence, meanwhile) {
  const more = `The page looks again by itself${meanwhile && `; ${meanwhile}`}.`;
  return el("div", { class: "state is-wide" }, el("p", {}, el("strong", { text: sentence }), ` ${more}`));
}

/** @returns {Promise<void>} */
export function untilSeen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
  });
}
