"""A request that has been admitted, which is the only kind that can be queued."""

from __future__ import annotations

from dataclasses import dataclass, field

from comfybridge.deadline import Deadline
from comfybridge.policy.policies import Rights
from comfybridge.request import GenerationRequest, Trace


@dataclass(frozen=True, eq=False)
class Admitted:
    """A request whose owner is known and has the right to it. Only `Bridge.admit` makes one.

    Attributes:
        asked: the request.
        owner: the name of its API key; None for a caller without one.
        rights: what its owner may request; None: anything.
        deadline: when its owner gives up.
        fingerprint: distinguishes it from another request with the same idempotency key; None without a key.
        is_followed: whether someone follows the events of its prompt. ComfyUI is then asked for previews, and
            otherwise for none, unless `extra_data` has a `preview_method` of its own.
        trace: how far it has come.
    """

    asked: GenerationRequest
    owner: str | None
    rights: Rights | None
    deadline: Deadline
    fingerprint: str | None = None
    is_followed: bool = False
    trace: Trace = field(default_factory=Trace, repr=False)
