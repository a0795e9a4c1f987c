"""Whether an agent's ComfyUIs answer, and what they can run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from comfybridge.comfyui.servers import Servers
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError
from comfybridge.jobs.abilities import Abilities, abilities_of
from comfybridge.jobs.job import Job

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
PROBE_SECONDS = 2.0
ABILITIES_SECONDS = 60.0  # for all node classes of a large ComfyUI on a busy machine
LOOK_SECONDS = 15.0
KNOWN_SECONDS = 600.0


class Fitness:
    """What an agent knows of its ComfyUIs. Safe to share between threads.

    Args:
        is_alone: whether no other agent could run what this one can't: then it takes all jobs, as the error with
            which one ends says more than that it waits for ever.
        announce: called with whether a ComfyUI answers, when that or its abilities may have changed.
    """

    def __init__(self, servers: Servers, *, is_alone: bool, announce: Callable[[bool], None]) -> None:
        self.abilities = Abilities()
        self._servers = servers
        self._is_alone = is_alone
        self._announce = announce
        self._is_up = False
        self._learned_at = self._looked_at = float("-inf")

    def lacks(self, job: Job) -> str | None:
        """What is missing for a job, as far as is known."""
        return None if self._is_alone else self.abilities.lacking(job.classes, job.models)

    def doubt(self) -> None:
        """A job could not run: ask ComfyUI before the next one."""
        self._is_up = False

    def wait(self, stopping: threading.Event) -> bool:
        """Wait until a ComfyUI answers, or the agent is stopped; returns whether one does."""
        pause = FIRST_PAUSE
        while not self._is_up and not stopping.is_set():
            try:
                self._learn()
            except BridgeError as error:
                if pause == FIRST_PAUSE:
                    log.warning("The agent takes no jobs: %s", error.message)
                self._announce(False)
                stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if pause != FIRST_PAUSE:
                    log.warning("ComfyUI is back; the agent takes jobs again.")
        return self._is_up

    def look(self, waiting: Callable[[], list[Job]], *, is_idle: bool) -> None:
        """See from time to time whether ComfyUI is still there, and whether it has got what a job waits for.

        Args:
            waiting: the jobs that wait.
        """
        now = time.monotonic()
        if self._is_alone or not self._is_up or now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        try:
            if now - self._learned_at >= KNOWN_SECONDS or any(map(self.lacks, waiting())):
                self._learn()
            elif is_idle:
                self._probe()
        except BridgeError:
            self._is_up = False

    def _learn(self) -> None:
        if self._is_alone:
            self._probe()
        else:
            self.abilities = abilities_of(self._servers, Deadline(ABILITIES_SECONDS))
        self._looked_at = self._learned_at = time.monotonic()
        self._is_up = True
        self._announce(True)

    def _probe(self) -> None:
        """Raises the error of the first ComfyUI, if none answers."""
        self._servers.answers(
            lambda server, _: server.client.queue_length(Deadline(PROBE_SECONDS)), Deadline(PROBE_SECONDS)
        )
