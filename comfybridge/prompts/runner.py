"""What runs requests, as far as their answers need to know: a bridge, or a fleet of agents."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.telling import Teller
from comfybridge.request import Generation
from comfybridge.settings import Settings


class Runner(Protocol):
    """Runs admitted requests. Safe to share between threads."""

    @property
    def settings(self) -> Settings:
        """Those of the bridge."""

    def generating(self, admitted: Admitted) -> AbstractContextManager[Generation]:
        """Run a request and wait for it; in the `with`, its outputs can be read.

        Raises:
            BridgeError: what went wrong.
        """

    def telling(self, admitted: Admitted, teller: Teller) -> AbstractContextManager[Generation]:
        """As `generating`, and tells meanwhile: at least once that it is queued, before anything else."""

    def abandon(self, admitted: Admitted) -> None:
        """Give up a request that another thread waits for, because its caller is gone. May be called repeatedly."""
