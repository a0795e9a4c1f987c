"""Measures how long each node of a prompt takes, from the prompt's events."""

from __future__ import annotations

import copy

# No node has so many steps; larger numbers would only spoil sums.
MOST_UNITS = 1e9
# A gap between two progress events that is this many times longer than the others was not a step: the machine slept.
STANDSTILL = 10.0


class Spent:
    """The time that one node has taken so far.

    Attributes:
        seconds: how long it ran, up to the last event.
        units: the units reported as done, such as steps, over all its passes: some nodes start counting again, for
            example for each tile.
        value, most: its position in the present pass, and the end of that; 0 before any progress event.
        tail: seconds since its last progress event.
    """

    def __init__(self) -> None:
        self.seconds = self.units = self.value = self.most = self.tail = 0.0
        self._last: float | None = None
        self._announced = 0
        self._timed_seconds = self._timed_units = 0.0
        self._longest = (0.0, 0.0)  # the longest gap per unit: its seconds and its units

    def announce(self, value: float, most: float, now: float) -> None:
        """Record that the node is at `value` of `most`."""
        most = min(max(most, 0.0), MOST_UNITS)
        value = min(max(value, 0.0), most)
        if value < self.value or (value == self.value and most != self.most):  # a new pass
            self.units += value
        elif value > self.value:
            self.units += value - self.value
            if self._last is not None:
                self._take(now - self._last, value - self.value)
        else:
            return
        self.value, self.most, self._last = value, most, now

    def _take(self, seconds: float, units: float) -> None:
        self._announced += 1
        self._timed_seconds += seconds
        self._timed_units += units
        if seconds * self._longest[1] >= self._longest[0] * units:
            self._longest = (seconds, units)

    def run(self, since: float, now: float) -> None:
        """Record that it ran between two moments."""
        self.seconds += now - since
        self.tail = self.silent(now)

    def silent(self, now: float) -> float:
        """Seconds since its last progress event; 0 if there was none."""
        return 0.0 if self._last is None else max(0.0, now - self._last)

    @property
    def timed_units(self) -> float:
        """For how many units the time is known."""
        return self._timed_units

    @property
    def unit_seconds(self) -> float | None:
        """Seconds per unit; None before two were announced. A gap in which the machine slept is left out."""
        if not self._timed_units:
            return None
        seconds, units = self._longest
        others, other_units = self._timed_seconds - seconds, self._timed_units - units
        if self._announced > 2 and other_units > 0 and seconds * other_units > STANDSTILL * others * units:
            return others / other_units
        return self._timed_seconds / self._timed_units


class NodeClock:
    """Times the nodes of one prompt. Nodes that a node expands to while it runs count as part of it.

    Attributes:
        nodes: the time spent on each node that began, by its id in the graph.
        current: the node that began last.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Spent] = {}
        self.current: str | None = None
        self._running: Spent | None = None
        self._since = 0.0
        self._shown_as: dict[str, str] = {}

    def copy(self) -> NodeClock:
        """As it stands now. May be called from any thread."""
        other = NodeClock()
        running = self._running
        for node, spent in list(self.nodes.items()):
            other.nodes[node] = copy.copy(spent)
            if spent is running:
                other._running = other.nodes[node]
        other.current, other._since, other._shown_as = self.current, self._since, dict(self._shown_as)
        return other

    def seconds_in_all(self, now: float) -> float:
        """How long its nodes have run until now."""
        return sum(self.seconds_of(node, now) for node in self.nodes)

    def begin(self, node: str, display_node: str, now: float) -> None:
        """A node begins, so the previous one has finished or is suspended."""
        self.stop(now)
        if node != display_node:
            self._shown_as[node] = display_node
        self.current = display_node
        self._running = self.nodes.get(display_node)
        if self._running is None:
            self._running = self.nodes[display_node] = Spent()

    def announce(self, node: str, value: float, most: float, now: float) -> None:
        """A node is at `value` of `most`."""
        spent = self.nodes.get(self.shown_as(node))
        if spent is not None:
            spent.announce(value, most, now)

    def stop(self, now: float) -> None:
        """The running node has stopped."""
        if self._running is not None:
            self._running.run(self._since, now)
        self._running = None
        self._since = now

    def seconds_of(self, node: str, now: float) -> float:
        """How long a node has run until now."""
        spent = self.nodes.get(node)
        if spent is None:
            return 0.0
        return spent.seconds + (now - self._since if spent is self._running else 0.0)

    def shown_as(self, node: str) -> str:
        """The node of the graph from which a node was expanded."""
        return self._shown_as.get(node, node)
