/** The page that shows the servers at work. */

import { announce } from "./announce.js";
import { ApiError, api, getJson } from "./api.js";
import { el, fill } from "./element.js";
import { showHeader } from "./header.js";
import { untilItWorks } from "./patience.js";
import { untilSeen } from "./readiness.js";
import { pause } from "./run/pauses.js";
import { agentTable } from "./stats/agents.js";
import { queueTable } from "./stats/queue.js";
import { serverCards } from "./stats/servers.js";
import { slotsIn } from "./stats/slots.js";
import { summary } from "./stats/summary.js";

/** @typedef {import("./stats/figures.js").Figures} Figures */

const SECONDS = 2;

/** @param {string} id @returns {HTMLElement} */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

showHeader(null);
const policy = await untilItWorks(() => getJson("policy"), at("state"), "Loading…");
showHeader(policy);
const parts = {
  summary: part("Now", true),
  servers: part("Servers"),
  agents: part("Agents"),
  queue: part("Queue"),
};
if (policy.server_info) await watch();
else fill(at("content"), el("p", { class: "state", text: "This key may not see figures of the servers." }));

/** Show the figures as long as the page is seen. */
async function watch() {
  show(await untilItWorks(ask, at("state"), "Loading…"));
  fill(at("content"), ...Object.values(parts).map(({ element }) => element));
  for (;;) {
    await pause(SECONDS);
    await untilSeen();
    try {
      show(await ask());
      setOld("");
    } catch (error) {
      setOld(error instanceof Error ? error.message : String(error));
    }
  }
}

/** @returns {Promise<Figures>} */
async function ask() {
  const [stats, queue, slots] = await Promise.all([statsOrNone(), getJson("queue").catch(orNone), slotsNow()]);
  return { ...stats, queue, slots };
}

async function statsOrNone() {
  try {
    return { ...(await getJson("stats")), error: null };
  } catch (error) {
    const isAway = error instanceof ApiError && error.type !== "" && error.status > 500;
    if (isAway) return { servers: [], error: error.message };
    throw error;
  }
}

/** @returns {Promise<{taken: number, all: number} | null>} null if this bridge tells no metrics. */
async function slotsNow() {
  try {
    return slotsIn(await (await api("metrics", { accept: "text/plain" })).text());
  } catch (error) {
    return orNone(error);
  }
}

/** @param {unknown} error @returns {null} what the bridge refuses is left out. */
function orNone(error) {
  if (error instanceof ApiError && error.type !== "") return null;
  throw error;
}

/** @param {Figures} figures */
function show(figures) {
  parts.summary.show(summary(figures));
  parts.servers.show(serverCards(figures));
  parts.agents.show(figures.agents ? agentTable(figures.agents) : null);
  parts.queue.show(figures.queue ? queueTable(figures.queue, figures.servers.length > 1) : null);
}

/** @param {string} reason why the figures are old; empty if they are not. */
function setOld(reason) {
  const before = at("state").textContent;
  const sentence = reason && `${reason} These figures are old; the page asks again by itself.`;
  if (sentence === before) return;
  fill(at("state"), sentence && el("p", { class: "state is-wide", text: sentence }));
  at("content").classList.toggle("is-old", reason !== "");
  announce(sentence || "The bridge answers again.");
}

/**
 * A part of the page, which is replaced only if it has changed, so that a text in it can be selected.
 *
 * @param {string} title
 * @param {boolean} [isFirst]
 */
function part(title, isFirst = false) {
  const place = el("div");
  const id = `part-${title.toLowerCase()}`;
  const heading = el("h2", { id, class: isFirst ? "visually-hidden" : "", text: title });
  const element = el("section", { class: isFirst ? "" : "stats-part", "aria-labelledby": id }, heading, place);
  return {
    element,
    /** @param {HTMLElement | null} content */
    show(content) {
      element.hidden = content === null;
      if (content?.outerHTML !== place.firstElementChild?.outerHTML) fill(place, content);
    },
  };
}
