/** Times and states of a run in words. */

/** @typedef {import("./run.js").Run} Run */

/** @param {number} seconds @returns {string} such as "95 s" or "12 min". */
export function duration(seconds) {
  if (seconds < 10) return `${Math.max(0, Math.round(seconds * 10) / 10)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** @param {Run} run @returns {string} what it does, without what changes every second. */
export function stateInWords(run) {
  const { position } = run.progress;
  switch (run.state) {
    case "sending":
      return run.request.files.length ? "Sending the request and its files" : "Sending the request";
    case "waiting":
      if (!run.promptIds.length) return "Not accepted yet; it is sent again soon";
      return position ? `Waiting in the queue, place ${position}` : "Waiting in the queue";
    case "running":
      return "Running";
    case "reconnecting":
      return "Trying again";
    case "succeeded":
      return "Ready";
    case "failed":
      return "Failed";
    case "cancelled":
      return "Cancelled";
  }
}

/** @param {Run} run @returns {string} the time left, as far as it is known. */
export function timeLeft(run) {
  const seconds = run.progress.secondsLeft;
  if (seconds === null) return "";
  if (seconds === 0) return "longer than estimated";
  return `about ${duration(Math.ceil(seconds))} left`;
}

/** @param {Date} deadline @returns {string} */
export function deadlineInWords(deadline) {
  const seconds = (deadline.getTime() - Date.now()) / 1000;
  const at = deadline.toLocaleTimeString();
  if (seconds <= 0) return `The time that the bridge gives it was over at ${at}.`;
  return `The bridge gives up at ${at} (in ${duration(Math.ceil(seconds))}).`;
}
