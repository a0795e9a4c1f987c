"""What a caller may request: which workflows, whether its own graphs, which node classes, how large, how often.

    default:                  # callers of keys that are not named here, and those without a key
      workflows: [txt2img]
      max_steps: 30
      rate: 10/minute
    shop:                     # the name of an API key
      graphs: true
      refused_nodes: [LoadImageFromUrl]

A policy allows everything that it does not mention. If it lists workflows, however, graphs and overrides must be
allowed explicitly, or the list would mean nothing.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from comfybridge.policy.job_terms import HIGHEST, LOWEST
from comfybridge.policy.limits import Limits
from comfybridge.policy.rates import Rate

Most = Annotated[int, Field(ge=1)]
Names = list[Annotated[str, Field(min_length=1)]]


class Policy(BaseModel):
    """What the callers of one API key may request. `docs/access.md` explains each field."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    workflows: Names | None = None
    graphs: bool | None = None
    overrides: bool | None = None
    priority: bool = True
    allowed_nodes: Names | None = None
    refused_nodes: Names = []
    max_width: Most | None = None
    max_height: Most | None = None
    max_pixels: Most | None = None
    max_steps: Most | None = None
    max_batch_size: Most | None = None
    rate: Annotated[Rate, BeforeValidator(Rate.parse)] | None = None
    server_info: bool = True
    all_prompts: bool = False
    max_priority: Annotated[int, Field(ge=LOWEST, le=HIGHEST)] = HIGHEST
    max_waiting_jobs: Annotated[int, Field(ge=0)] | None = None
    max_running_jobs: Most | None = None
    webhooks: bool = True

    @property
    def takes_graphs(self) -> bool:
        """Whether a caller may bring a whole graph."""
        return self.workflows is None if self.graphs is None else self.graphs

    @property
    def takes_overrides(self) -> bool:
        """Whether a caller may set inputs that are not parameters of the workflow."""
        return self.workflows is None if self.overrides is None else self.overrides

    @cached_property
    def limits(self) -> Limits | None:
        """The limits for numbers in graphs; None if there are none."""
        limits = Limits(self.max_width, self.max_height, self.max_pixels, self.max_steps, self.max_batch_size)
        return None if limits == Limits() else limits

    @cached_property
    def nodes(self) -> tuple[frozenset[str] | None, frozenset[str]]:
        """The node classes that are allowed (None: all) and those that are refused."""
        return None if self.allowed_nodes is None else frozenset(self.allowed_nodes), frozenset(self.refused_nodes)
