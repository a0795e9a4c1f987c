"""The demo: the application with a stand-in ComfyUI of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

from comfybridge.serving.announcement import DEMO
from comfybridge.serving.demo_comfyui import demo_comfyui
from comfybridge.settings import load_settings
from comfybridge.web.application import create_app
from comfybridge.web.current import EXTENSION

if TYPE_CHECKING:
    from comfybridge.simulator import Simulator

_SIMULATOR = "comfybridge.simulator"


def create_demo() -> Flask:
    """The application with a simulator, in a thread of this process, as its ComfyUI."""
    simulator = demo_comfyui(load_settings().workflows_dir)
    simulator.start()
    app = create_app(load_settings(comfyui_url=simulator.url, comfyui_headers={}))
    app.config[DEMO] = True
    app.extensions[_SIMULATOR] = simulator
    return app


def end_demo(app: Flask | None) -> None:
    """Stop the simulator of an application, and delete its folder, if it has one."""
    simulator: Simulator | None = app.extensions.get(_SIMULATOR) if app is not None else None
    if app is not None and simulator is not None:
        app.extensions[EXTENSION].close()  # which would complain of a ComfyUI that is lost
        simulator.stop()
