"""The queue, what is running, and the history."""

import copy
import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_LONGEST_HISTORY = 10_000

# Keys of extra_data that ComfyUI keeps out of the history.
SECRETS = ("auth_token_comfy_org", "api_key_comfy_org")

# [number, prompt id, graph, extra_data, outputs to run]: a queue item as the API shows it.
Item = tuple[float, str, dict[str, Any], dict[str, Any], list[str]]


@dataclass(frozen=True)
class Entry:
    """A finished prompt's outputs, their meta data and its status, as the history has them."""

    outputs: dict[str, Any]
    meta: dict[str, Any]
    status: dict[str, Any]


class PromptQueue:
    """One worker's queue. Thread-safe; `changed` is called, with the lock held, after every change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._lock = threading.RLock()
        self._moved = threading.Condition(self._lock)
        self._pending: list[Item] = []
        self._running: Item | None = None
        self._history: dict[str, dict[str, Any]] = {}
        self.finished_at: dict[str, float] = {}
        """When each prompt came into the history, on `time.monotonic()`'s clock."""
        self._closed = False

    def put(self, item: Item) -> None:
        with self._lock:
            heapq.heappush(self._pending, item)
            self._notify()

    def take(self) -> Item | None:
        """The next item by number, waiting for one; None once the queue is closed. Its graph may be changed."""
        with self._lock:
            while not self._pending and not self._closed:
                self._moved.wait()
            if self._closed:
                return None
            item = heapq.heappop(self._pending)
            self._running = copy.deepcopy(item)
            self._notify()
            return item

    def finish(self, entry: Entry) -> None:
        """Moves the running item into the history."""
        with self._lock:
            item = self._running
            assert item is not None
            self._running = None
            if len(self._history) > _LONGEST_HISTORY:
                del self._history[next(iter(self._history))]
            for secret in SECRETS:
                item[3].pop(secret, None)
            self._history[item[1]] = {
                "prompt": item,
                "outputs": entry.outputs,
                "status": entry.status,
                "meta": entry.meta,
            }
            self.finished_at[item[1]] = time.monotonic()
            self._notify()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._moved.notify_all()

    def clear(self) -> None:
        with self._lock:
            self._pending = []
            self._notify()

    def delete(self, prompt_id: str) -> bool:
        """Removes one pending item of this id, if any; returns whether there was one."""
        with self._lock:
            for place, item in enumerate(self._pending):
                if item[1] == prompt_id:
                    del self._pending[place]
                    heapq.heapify(self._pending)
                    self._notify()
                    return True
            return False

    @property
    def remaining(self) -> int:
        """Prompts pending and running."""
        with self._lock:
            return len(self._pending) + (self._running is not None)

    @property
    def running(self) -> list[Item]:
        with self._lock:
            return [] if self._running is None else [self._running]

    @property
    def pending(self) -> list[Item]:
        """The pending items in heap order: only the first is certain to be the next."""
        with self._lock:
            return list(self._pending)

    def history(self, max_items: int | None = None, offset: int = -1) -> dict[str, Any]:
        """The newest `max_items` entries, or those from `offset` on, oldest first."""
        with self._lock:
            if offset < 0 and max_items is not None:
                offset = len(self._history) - max_items
            entries = list(self._history.items())[max(offset, 0) :]
            # With max_items=0, ComfyUI still returns one entry if there is one.
            return dict(entries if max_items is None else entries[: max(max_items, 1)])

    def history_of(self, prompt_id: str) -> dict[str, Any]:
        with self._lock:
            return {prompt_id: self._history[prompt_id]} if prompt_id in self._history else {}

    def clear_history(self) -> None:
        with self._lock:
            self._history = {}

    def delete_history(self, prompt_id: str) -> None:
        with self._lock:
            self._history.pop(prompt_id, None)

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Waits for at most `timeout` seconds until the condition holds; it is checked after every change."""
        with self._lock:
            return self._moved.wait_for(condition, timeout)

    def _notify(self) -> None:
        self._moved.notify_all()
        self._changed()
