"""A request that has been admitted, which is the only kind that can be queued."""

from __future__ import annotations

from dataclasses import dataclass, field

from comfybridge.deadline import Deadline
from comfybridge.files.inputs import Brought
from comfybridge.policy.rights import Rights
from comfybridge.request import GenerationRequest, Trace
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted


@dataclass(frozen=True, eq=False)
class Admitted:
    """A request whose owner is known and has the right to it. `Bridge.admit` makes one, and an agent
    takes one from a bridge that has.

    Attributes:
        asked: the request.
        owner: the name of its API key; None for a caller without one.
        rights: what its owner may request; None: anything.
        deadline: when its owner gives up.
        fingerprint: distinguishes it from another request with the same idempotency key; None without a key.
        is_followed: whether someone follows the events of its prompt. ComfyUI is then asked for previews, and
            otherwise for none, unless `extra_data` has a `preview_method` of its own.
        has_previews: whether ComfyUI is asked for previews although nobody follows the events.
        trace: how far it has come; the prompts of one request share it.
        part: which of its request's prompts this is, from 0, if there are several.
        parts: what stands for each of its prompts that has been begun, if there are several.
        brought: its input files that have been brought to a server.
        prompt_id: the id that its prompt gets, of several the first one; None: it is chosen when it is queued.
        workflow: what its graph is made of; None: its own graph, or the template that it names.
        is_repeat: whether a ComfyUI may have its prompt already, from an earlier attempt.
    """

    asked: GenerationRequest
    owner: str | None
    rights: Rights | None
    deadline: Deadline
    fingerprint: str | None = None
    is_followed: bool = False
    has_previews: bool = False
    trace: Trace = field(default_factory=Trace, repr=False)
    part: int = 0
    parts: list[Admitted] = field(default_factory=list, repr=False)
    brought: Brought | None = field(default=None, repr=False)
    prompt_id: str | None = None
    workflow: Template | Unconverted | None = field(default=None, repr=False)
    is_repeat: bool = False

    @property
    def may_be_queued(self) -> bool:
        """Whether its prompt may be on a ComfyUI already, under the id that it is going to have."""
        if self.asked.idempotency_key is not None:
            return True
        return self.prompt_id is not None and (self.is_repeat or self.trace.sent_as is not None)
