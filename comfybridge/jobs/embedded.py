"""The agent of a bridge that has ComfyUIs of its own: one for all processes of the bridge on this machine."""

from __future__ import annotations

import hashlib
import logging
import platform
import re
import threading
import uuid
from pathlib import Path

from filelock import FileLock, Timeout

from comfybridge.bridge import Bridge
from comfybridge.engine.engine import Engine
from comfybridge.jobs.queue import JobQueue
from comfybridge.settings import Settings

log = logging.getLogger(__name__)

_OWN_USER = re.compile(r"agent-[A-Za-z0-9_-]{1,60}")
LOOK_SECONDS = 2.0  # how soon another process takes over
END_SECONDS = 8.0


class EmbeddedAgent:
    """Runs an agent in this process, unless another one has it. Safe to share between threads; nothing blocks.

    Args:
        queue: that of the bridge in this process.
    """

    def __init__(self, bridge: Bridge, engine: Engine, queue: JobQueue | None = None) -> None:
        self._bridge = bridge
        self._engine = engine
        self._queue = queue
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ends = threading.Event()

    def begin(self) -> None:
        """Take part: there are jobs from before, or may be."""
        self.need()

    def need(self) -> None:
        """There is a job: see to it that an agent takes it."""
        if self._thread is not None or self._bridge.settings.is_fleet:
            return
        with self._lock:
            if self._thread is None and not self._ends.is_set():
                self._thread = threading.Thread(target=self._run, name="comfybridge agent", daemon=True)
                self._thread.start()

    def leave(self) -> None:
        """Take no more jobs, and give back those that run; their prompts go on in ComfyUI, to be found again."""
        self._ends.set()

    def close(self) -> None:
        """As `leave`, and wait until that is done."""
        self.leave()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(END_SECONDS)

    def _run(self) -> None:
        from comfybridge.jobs.agent import Agent  # where there are no jobs, it is never needed

        settings = self._bridge.settings
        try:
            identity = Identity(self._bridge)
        except OSError as error:
            log.error("No agent can run in the bridge, because the state folder can't be used: %s", error)
            return
        while not identity.take():
            if self._ends.wait(LOOK_SECONDS):
                return
        try:
            agent = Agent(
                self._bridge,
                self._engine,
                agent_id=identity.id,
                name=settings.agent_name or platform.node(),
                slots=settings.agent_slots,
                queue=self._queue,
            )
            agent.start()
            self._ends.wait()
            agent.stop(0.0)
        except Exception:
            log.exception("A bug in the bridge")
        finally:
            identity.release()


class Identity:
    """The id of the agent for certain ComfyUIs and a certain engine on this machine, for one process at a time.

    Raises:
        OSError: the state folder can't be used.
    """

    def __init__(self, bridge: Bridge) -> None:
        settings = bridge.settings
        urls = [each.url for each in settings.addresses]
        who = "\n".join([*urls, settings.engine or "", settings.agent_name or ""])
        name = f"agent-{hashlib.sha256(who.encode()).hexdigest()[:12]}"
        self.id = id_by_user(settings) or bridge.state.kept(name, lambda: uuid.uuid4().hex)
        path: Path = bridge.state.path() / f"{name}.running"
        self._lock = FileLock(path, thread_local=False)

    def take(self) -> bool:
        """Make it this process's; returns whether it is."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Let another process have it."""
        self._lock.release()


def id_by_user(settings: Settings) -> str | None:
    """The id of an agent whose user at the engine is its own, and has rights by that name; None for other users.

    Such a user's name begins with `agent-`, as those do that `engine-config` names.
    """
    user = settings.engine_addresses[0].user if settings.engine_addresses else None
    return user if user and _OWN_USER.fullmatch(user) else None
