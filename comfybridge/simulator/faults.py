"""The faults that a test can set: nodes that fail or block, and routes that answer wrongly, late or not at all."""

import threading
from dataclasses import dataclass


@dataclass
class NodeFault:
    """A fault in the runs of one node class."""

    message: str
    exception_type: str = "RuntimeError"
    blocks: bool = False
    times: int | None = None


@dataclass
class RouteFault:
    """A fault in the requests to one path."""

    path: str
    method: str | None
    status: int | None
    body: bytes
    headers: dict[str, str]
    close: bool
    cut: int | None
    delay: float
    drip: float
    handled: bool
    times: int | None

    def meets(self, method: str, path: str) -> bool:
        if self.method is not None and self.method != method:
            return False
        return self.path in ("*", path) or path.startswith(self.path.rstrip("/") + "/")


class Faults:
    """All faults set so far. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, NodeFault] = {}
        self._routes: list[RouteFault] = []
        self._interrupts_to_forget = 0

    def add_node(self, class_type: str, fault: NodeFault) -> None:
        with self._lock:
            self._nodes[class_type] = fault

    def add_route(self, fault: RouteFault) -> None:
        with self._lock:
            self._routes.append(fault)

    def forget_interrupts(self, times: int) -> None:
        with self._lock:
            self._interrupts_to_forget = times

    def heal(self) -> None:
        with self._lock:
            self._nodes.clear()
            self._routes.clear()
            self._interrupts_to_forget = 0

    def of_node(self, class_type: str) -> NodeFault | None:
        """The fault for a run that begins now, if any; counts it."""
        with self._lock:
            fault = self._nodes.get(class_type)
            if fault is not None and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self._nodes[class_type]
            return fault

    def forgets_interrupt(self) -> bool:
        """Whether to forget the interrupt that has just arrived; counts it."""
        with self._lock:
            is_forgotten = self._interrupts_to_forget > 0
            self._interrupts_to_forget -= is_forgotten
            return is_forgotten

    def of_request(self, method: str, path: str) -> RouteFault | None:
        """The fault for a request that has just arrived, the oldest first; counts it."""
        with self._lock:
            for fault in self._routes:
                if fault.meets(method, path):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._routes.remove(fault)
                    return fault
            return None
