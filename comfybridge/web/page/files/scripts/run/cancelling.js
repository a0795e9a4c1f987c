/** Cancels prompts, and says what that did. */

import { ApiError, api } from "../api.js";

/**
 * Cancel each of a request's prompts.
 *
 * @param {string[]} ids
 * @returns {Promise<{isCancelled: boolean, said: string}>} isCancelled: whether any was still there to be cancelled.
 * @throws {NetworkError} if the bridge does not answer.
 */
export async function cancelPrompts(ids) {
  const before = await Promise.all(ids.map(cancelOne));
  const running = before.filter((was) => was === "running").length;
  const pending = before.filter((was) => was === "pending").length;
  if (!running && !pending) {
    return { isCancelled: false, said: "It had ended before it could be cancelled." };
  }
  if (ids.length === 1) {
    return { isCancelled: true, said: `Cancelled while it ${running ? "ran" : "waited in the queue"}.` };
  }
  const states = [...(running ? [`${running} ran`] : []), ...(pending ? [`${pending} waited in the queue`] : [])];
  const ended = ids.length - running - pending;
  if (ended) states.push(`${ended} had ended`);
  return { isCancelled: true, said: `Cancelled: ${states.join(", ")}.` };
}

/** @param {string} id @returns {Promise<string | null>} its state until then; null if it had ended. */
async function cancelOne(id) {
  try {
    const response = await api(`cancel/${encodeURIComponent(id)}`, { method: "POST" });
    return (await response.json()).was;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}
