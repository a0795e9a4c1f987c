/** The page that shows every workflow: what it does, takes and needs. */

import { getJson } from "./api.js";
import { el, fill } from "./element.js";
import { writeExactly } from "./exact_json.js";
import { Loading } from "./gallery/loading.js";
import { Store } from "./gallery/store.js";
import { showHeader } from "./header.js";
import { untilItWorks } from "./patience.js";
import { watchReadiness } from "./readiness.js";
import { WorkflowCard } from "./workflows/card.js";

/**
 * @typedef {import("./types.js").Policy} Policy
 * @typedef {import("./types.js").Listing} Listing
 */

const FEW = 6; // of which one needs no search

/** @param {string} id @returns {HTMLElement} */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

showHeader(null);
const { policy, listing: first } = await untilItWorks(load, at("state"), "Loading…");
showHeader(policy);
const context = { policy, store: new Store(policy.owner), loading: new Loading() };
let listing = first;
/** @type {WorkflowCard[]} */
let cards = [];
const found = el("p", { class: "hint", role: "status" });
const wanted = el("input", { type: "search", id: "search", autocomplete: "off", on: { input: find } });
const search = el("search", { class: "search-row" }, el("label", { for: "search", text: "Find a workflow" }), wanted, found);
show();
const place = el("div");
at("state").append(place);
watchReadiness(place, refresh);

/** Show what ComfyUI has by now. Workflows as the editor saves them are read only while it answers. */
async function refresh() {
  const now = await getJson("workflows").catch(() => null);
  if (now === null || writeExactly(now) === writeExactly(listing)) {
    for (const card of cards) card.refresh();
    return;
  }
  listing = now;
  show();
}

function show() {
  cards = listing.workflows.map((workflow) => new WorkflowCard(workflow, context));
  const hadFocus = document.activeElement === wanted;
  fill(
    at("content"),
    cards.length > FEW && search,
    cards.length
      ? el("div", { class: "workflow-cards" }, ...cards.map(({ element }) => element))
      : el("p", { class: "hint", text: noneInWords() }),
    troubled("Broken", "These files cannot be used until they are mended.", listing.broken),
    troubled("Not read yet", "ComfyUI has to answer before these can be read.", listing.unread),
  );
  if (cards.length > FEW) find();
  if (hadFocus) wanted.focus();
}

/** @returns {Promise<{policy: Policy, listing: Listing}>} */
async function load() {
  const [policy, listing] = await Promise.all([getJson("policy"), getJson("workflows")]);
  return { policy, listing };
}

function noneInWords() {
  if (listing.broken.length + listing.unread.length) return "No workflow can be used.";
  return policy.workflows ? "This key opens no workflow." : "There is no workflow yet.";
}

/** Show the workflows that are searched for. */
function find() {
  const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const card of cards) card.element.hidden = !words.every((word) => card.text.includes(word));
  const count = cards.filter(({ element }) => !element.hidden).length;
  found.textContent = words.length ? `${count} of ${cards.length}` : "";
}

/** @param {string} title @param {string} sentence @param {{name: string, error: string}[]} entries */
function troubled(title, sentence, entries) {
  if (!entries.length) return null;
  const items = entries.map(({ name, error }) =>
    el("li", { class: "card" }, el("h3", { text: name }), el("p", { class: "card-error", text: error })),
  );
  const id = title.toLowerCase().replaceAll(" ", "-");
  return el(
    "section",
    { class: "troubled", "aria-labelledby": id },
    el("h2", { id, text: title }),
    el("p", { class: "hint", text: sentence }),
    el("ul", {}, ...items),
  );
}
