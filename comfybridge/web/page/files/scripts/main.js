/** The page that makes pictures. */

import { alertUser } from "./announce.js";
import { getJson } from "./api.js";
import { Chooser } from "./chooser.js";
import { Draft } from "./draft.js";
import { takeDrops, tellOfOthers } from "./dropping.js";
import { el, fill } from "./element.js";
import { Gallery } from "./gallery/gallery.js";
import { Store } from "./gallery/store.js";
import { showHeader } from "./header.js";
import { untilItWorks } from "./patience.js";
import { watchReadiness } from "./readiness.js";
import { Workbench } from "./workbench.js";

/**
 * @typedef {import("./types.js").Policy} Policy
 * @typedef {import("./types.js").Listing} Listing
 */

/** @param {string} id @returns {HTMLElement} */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

showHeader(null);
const { policy, listing } = await untilItWorks(load, at("state"), "Loading…");
showHeader(policy);

const chooser = new Chooser(listing, policy.graphs);
const bench = new Workbench(policy, chooser, at("panel"));
bench.gallery = new Gallery(new Store(policy.owner), {
  policy,
  onRunAgain: (entry, content) => bench.runAgain(entry, content),
  onRefused: (run) => bench.refused(run),
});
fill(at("results"), bench.gallery.element);
takeDrops({
  text: () => (policy.graphs ? "Drop a workflow, or a picture" : bench.form ? "Drop a picture" : ""),
  take: async (files) => {
    if (files[0] && (await bench.open(files[0]))) tellOfOthers(files);
  },
});

const draft = new Draft(policy.owner);
const kept = usable(draft.kept);
const first = kept?.workflow ?? firstOf(listing);
at("panel").hidden = first === null && !policy.graphs;
at("results").hidden = at("panel").hidden && bench.gallery.isEmpty; // there is nothing to make
const missing = first === null ? nothing(policy, listing) : el("div");
fill(at("state"), missing);
bench.addEventListener("show", () => missing.remove());
if (first !== null) bench.choose(first, kept?.values);
draft.keepWhenLeft(() => bench.form);
const place = el("div");
at("state").append(place);
watchReadiness(place, refresh, "what you send meanwhile waits");

/** Show what ComfyUI can do and tell by now. Workflows as the editor saves them are read only while it answers. */
async function refresh() {
  bench.refresh();
  bench.gallery?.refresh();
  const now = await getJson("workflows").catch(() => null);
  if (now === null) return;
  if (first === null && firstOf(now) !== null) location.reload();
  chooser.offer(now.workflows);
}

/** @returns {Promise<{policy: Policy, listing: Listing}>} */
async function load() {
  const [policy, listing] = await Promise.all([getJson("policy"), getJson("workflows")]);
  return { policy, listing };
}

/**
 * What the tab has kept, if it is of the workflow that is asked for, and that may be used still.
 *
 * @param {import("./draft.js").Kept | null} kept
 */
function usable(kept) {
  if (kept === null) return null;
  const { workflow } = kept;
  const wanted = new URLSearchParams(location.search).get("workflow");
  if (typeof workflow !== "string") return policy.graphs && wanted === null ? kept : null;
  const isThere = listing.workflows.some(({ name }) => name === workflow);
  return isThere && (wanted === null || wanted === workflow) ? kept : null;
}

/** @param {Listing} listing @returns {string | null} the workflow to begin with. */
function firstOf(listing) {
  const names = listing.workflows.map(({ name }) => name);
  const wanted = new URLSearchParams(location.search).get("workflow");
  if (wanted !== null && names.includes(wanted)) return wanted;
  const unusable = [...listing.broken, ...listing.unread].find(({ name }) => name === wanted);
  if (unusable) alertUser(`The workflow “${wanted}” cannot be used: ${unusable.error}`);
  else if (wanted !== null) alertUser(`This bridge has no workflow “${wanted}” that you can use.`);
  return listing.default ?? names[0] ?? null;
}

/** What to show if there is no workflow to choose. @param {Policy} policy @param {Listing} listing */
function nothing(policy, listing) {
  const others = [...listing.broken, ...listing.unread];
  const [title, sentence] = whyNone(policy, listing);
  return el(
    "section",
    { class: "state" },
    el("h2", { text: title }),
    el("p", { text: sentence }),
    others.length ? el("p", {}, el("a", { href: "workflows", text: "See why" })) : null,
    policy.graphs ? el("p", { text: "You can open one from a file, or drop it here." }) : null,
  );
}

/** @param {Policy} policy @param {Listing} listing @returns {[string, string]} */
function whyNone(policy, { broken, unread }) {
  if (unread.length) return ["The workflows cannot be read yet", "ComfyUI has to answer first; the page looks again by itself."];
  if (broken.length) {
    return ["None of the workflows works", `${broken.length === 1 ? "The only one is" : `All ${broken.length} are`} broken.`];
  }
  if (policy.workflows) return ["This key opens no workflow", "Its policy names no workflow that this bridge has."];
  return ["There is no workflow yet", "Put one into the bridge's folder of workflows: a file as ComfyUI saves it."];
}
