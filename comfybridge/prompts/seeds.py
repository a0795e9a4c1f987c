"""The seeds of further prompts: that of the first one, and then one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfybridge.prompts.submission import Submission
from comfybridge.workflow.discovery import find_seed
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.seeds import seed_limits

NO_SEED = "n is {n}, but no seed was found in the workflow, so all its prompts may make the same."


@dataclass(frozen=True)
class Seeds:
    """The seeds of a request's prompts, which follow that of the first one.

    Attributes:
        first: the seed of the first prompt.
        step: by how much each differs from the one before.
        name: the parameter that sets it: its name, or `"NODE.INPUT"`.
        lowest, highest: what its inputs take; after the highest comes the lowest.
    """

    first: int
    step: int
    name: str
    lowest: int
    highest: int | None

    @classmethod
    def after(cls, first: Submission) -> Seeds | None:
        """Those after a prompt that has been filled; None if it has no seed.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: the server could not be asked which seeds its nodes take.
        """
        filled, request = first.filled, first.request
        if filled.seed is None:
            return None
        name, targets = _place_of(first)
        if name is None:
            return None
        catalog = first.server.catalog
        lowest, highest = seed_limits(
            filled.graph, targets, lambda class_type: catalog.node_class(class_type, first.deadline)
        )
        return cls(
            filled.seed,
            request.seed_step,
            name,
            int(lowest or 0),
            None if highest is None else int(highest),
        )

    def of(self, part: int) -> int:
        """The seed of a prompt, counted from 0."""
        seed = self.first + part * self.step
        if self.highest is None or seed <= self.highest:
            return seed
        return self.lowest + (seed - self.lowest) % (self.highest - self.lowest + 1)

    def params(self, given: Mapping[str, Any], part: int) -> dict[str, Any]:
        """The request's parameters for a prompt."""
        return {**given, self.name: self.of(part)}


def _place_of(first: Submission) -> tuple[str | None, list[Target]]:
    """The parameter that sets the seed that is reported for a prompt, and the inputs that it feeds."""
    filled = first.filled
    seeds = sorted(
        (each for each in filled.parameters.values() if each.is_seed), key=lambda each: each.name != "seed"
    )
    target = seeds[0].targets[0] if seeds else find_seed(filled.graph)
    if target is None:
        return None, []
    written = f"{target.node}.{target.input}"
    if written in first.request.params:  # which wins over a parameter
        return written, [target]
    if seeds:
        return seeds[0].name, list(seeds[0].all_targets)
    return ("seed" if "seed" in filled.params else written), [target]  # as of an earlier request
