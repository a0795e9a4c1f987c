"""Bridges as processes of their own, which can be killed and started again where they were."""

from __future__ import annotations

from pathlib import Path

from tests.serving.servers import PYTHON_APP, Server, free_port


class Bridge:
    """A bridge in front of a ComfyUI.

    Args:
        comfyui_url: the ComfyUI's address.
        state: the folder of its state.
        settings: further settings, by their names in the environment without `COMFYBRIDGE_`.

    Attributes:
        url: its address, without a slash at the end; the same after it was started again.
    """

    def __init__(self, comfyui_url: str, state: Path, **settings: str) -> None:
        self._environment = {
            "COMFYUI_URL": comfyui_url,
            "COMFYBRIDGE_PORT": free_port(),
            "COMFYBRIDGE_STATE_DIR": str(state),
            **{f"COMFYBRIDGE_{name}": value for name, value in settings.items()},
        }
        self._server = Server(PYTHON_APP, **self._environment)
        self.url = self._server.url

    def kill(self) -> None:
        """End it as a power cut does."""
        self._server.end()

    def start_again(self, **settings: str) -> None:
        """Start it where it was, with settings that differ."""
        self._environment |= {f"COMFYBRIDGE_{name}": value for name, value in settings.items()}
        self._server = Server(PYTHON_APP, **self._environment)
