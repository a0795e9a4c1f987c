"""The seeds of a request's prompts: that of the first one, and then one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from comfybridge.prompts.submission import Submission
from comfybridge.workflow.discovery import find_seed
from comfybridge.workflow.parameters import LIMITS, Parameter
from comfybridge.workflow.seeds import seed_limits

NO_SEED = "n is {n}, but no seed was found in the workflow, so all its prompts may make the same."


@dataclass(frozen=True)
class Seeds:
    """The seeds of a request's prompts, which follow that of the first one.

    Attributes:
        first: the seed of the first prompt.
        step: by how much each differs from the one before.
        parameter: what sets it; its name may be `"NODE.INPUT"`.
    """

    first: int
    step: int
    parameter: Parameter

    @classmethod
    def after(cls, first: Submission) -> Seeds | None:
        """Those after the seed of a prompt that is queued; None if it has none.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: the server could not be asked which seeds its nodes take.
        """
        parameter = _parameter_of(first)
        if parameter is None or first.filled.seed is None:
            return None
        catalog, deadline = first.server.catalog, first.deadline
        limits = seed_limits(
            first.filled.graph, parameter.all_targets, lambda class_type: catalog.node_class(class_type, deadline)
        )
        return cls(first.filled.seed, first.request.seed_step, parameter.within(*limits))

    def of(self, part: int) -> int:
        """The seed of a prompt, counted from 0; after the highest that its inputs take comes the lowest."""
        low, high = self.parameter.range
        lowest, highest = int(low or 0), int(LIMITS["seed"][1] if high is None else high)
        seed = self.first + part * self.step
        return seed if seed <= highest else lowest + (seed - lowest) % (highest - lowest + 1)

    def params(self, given: Mapping[str, Any], part: int) -> dict[str, Any]:
        """The request's parameters for a prompt."""
        return {**given, self.parameter.name: self.of(part)}


def _parameter_of(first: Submission) -> Parameter | None:
    """The parameter that sets the seed that is reported for a prompt."""
    filled = first.filled
    seeds = [each for each in filled.parameters.values() if each.is_seed]
    seeds.sort(key=lambda each: each.name != "seed")
    target = seeds[0].targets[0] if seeds else find_seed(filled.graph)
    if target is None:
        return None
    written = f"{target.node}.{target.input}"
    # an earlier request has left only the values
    name = "seed" if "seed" in filled.params else written
    found = seeds[0] if seeds else Parameter(name, (target,), "integer")
    # `NODE.INPUT` wins over a parameter
    return replace(found, name=written) if written in first.request.params else found
