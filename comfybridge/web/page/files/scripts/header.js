/** The header, as far as it depends on the caller. */

import { getJson } from "./api.js";
import { el, fill } from "./element.js";
import { writeExactly } from "./exact_json.js";
import { askForKey, currentKey, forgetKey, keyEvents } from "./key.js";

/** @typedef {import("./types.js").Policy} Policy */

/** @type {Policy | null} what the page was made for. */
let known = null;

/**
 * Show what the caller's key opens, and whose it is.
 *
 * @param {Policy | null} policy null as long as it is not known.
 */
export function showHeader(policy) {
  known = policy;
  const stats = document.getElementById("stats-link");
  if (stats) stats.hidden = policy !== null && !policy.server_info;
  const account = document.getElementById("account");
  if (account) fill(account, ...accountOf(policy));
}

/** @param {Policy | null} policy @returns {(HTMLElement | null)[]} */
function accountOf(policy) {
  if (currentKey() === null) return [];
  return [
    policy?.owner ? el("span", { class: "hint", text: `Key: ${policy.owner}` }) : null,
    el("button", { type: "button", text: "Forget key", on: { click: forgetKey } }),
  ];
}

/** Make the page anew if another key may do other things. */
async function followKey() {
  if (known === null) return showHeader(null);
  const policy = await getJson("policy").catch(() => null);
  if (policy !== null && writeExactly(policy) !== writeExactly(known)) location.reload();
  else showHeader(known);
}

keyEvents.addEventListener("change", () => {
  if (currentKey() !== null) return void followKey();
  const account = document.getElementById("account");
  const click = async () => (await askForKey()) && location.reload();
  if (account) fill(account, el("button", { type: "button", text: "Enter a key", on: { click } }));
});
