"""`comfybridge agent`: runs the jobs of a fleet on the ComfyUI beside it."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import sys
import threading
import uuid
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from comfybridge import __version__, logs
from comfybridge.bridge import Bridge
from comfybridge.cli.exit_codes import DONE, NOT_SAVED, USAGE
from comfybridge.cli.program import program
from comfybridge.cli.version import add_version
from comfybridge.serving.giving_way import give_way
from comfybridge.settings import Settings, SettingsError, environment_name, load_settings

if TYPE_CHECKING:
    from comfybridge.jobs.agent import Agent

log = logging.getLogger(__name__)

# The settings that matter to an agent, and its own names for some.
OPTIONS = {
    "engine": "engine",
    "comfyui_url": "comfyui-url",
    "agent_name": "name",
    "agent_slots": "slots",
    "wait": "wait",
    "state_dir": "state-dir",
    "connect_timeout": "connect-timeout",
    "read_timeout": "read-timeout",
    "shutdown_timeout": "shutdown-timeout",
    "request_folders": "request-folders",
    "max_upload_bytes": "max-upload-bytes",
    "fetch_timeout": "fetch-timeout",
    "fetch_allow_hosts": "fetch-allow-hosts",
    "log_format": "log-format",
    "log_prompts": "log-prompts",
}
NO_ENGINE = (
    f"An agent needs the address of the engine that keeps the jobs: --engine nats://HOST:4222, or "
    f"{environment_name('engine')}."
)
FINISHING = "Finishing the running jobs; press Ctrl-C again to give them back."


def run_agent(arguments: Sequence[str]) -> int:
    """Run an agent until it is told to stop (Ctrl-C, SIGTERM); returns the exit code."""
    options = vars(_parser().parse_args(arguments))
    os.environ.update({environment_name(name): value for name, value in options.items() if value is not None})
    try:
        settings = load_settings()
        if settings.engine is None:
            raise SettingsError(NO_ENGINE)
        if settings.is_fleet:  # an agent has a ComfyUI in any case
            settings = load_settings(comfyui_url=settings.comfyui_url)
        bridge = Bridge(settings)
    except SettingsError as error:
        print(f"The agent can't start: {error}", file=sys.stderr)
        return USAGE
    logs.configure(settings.log_format, quotes=settings.log_prompts)
    give_way()
    with bridge:
        return _serve(bridge)


def _serve(bridge: Bridge) -> int:
    from comfybridge.engine.engine import Engine
    from comfybridge.jobs.agent import Agent
    from comfybridge.jobs.embedded import Identity, id_by_user

    settings = bridge.settings
    name, agent_id = settings.agent_name or platform.node(), id_by_user(settings) or uuid.uuid4().hex
    try:
        identity = Identity(bridge)
        if identity.take():  # otherwise there is one more agent for the same ComfyUI
            agent_id = identity.id
    except OSError as error:
        log.warning("The agent has another id after each start, because the state folder can't be used: %s", error)
    engine = Engine(settings, bridge.state, makes_streams=False)
    agent = Agent(
        bridge,
        engine,
        agent_id=agent_id,
        name=name,
        slots=settings.agent_slots,
        logs_ends=True,
    )
    stop = threading.Event()
    _heed_signals(stop, agent)
    agent.start()
    log.info(
        "Agent %s (ComfyBridge %s) takes jobs from %s for ComfyUI at %s, %s at a time; its id is %s.",
        name,
        __version__,
        ", ".join(each.url for each in settings.engine_addresses),
        ", ".join(each.url for each in settings.addresses),
        agent.slots,
        agent_id,
    )
    stop.wait()
    running = agent.running
    log.info(
        "The agent is being stopped; %s.",
        f"it runs {', '.join(running)}, and gives back at a second signal what has not ended"
        if running
        else "it runs no job",
    )
    agent.stop(settings.shutdown_seconds)
    engine.close()
    return DONE


def _heed_signals(stop: threading.Event, agent: Agent) -> None:
    """Have the agent finish its jobs at the first signal, give them back at the second, and exit at the third."""

    def heed(number: int, _: FrameType | None) -> None:
        if not stop.is_set():
            if number == signal.SIGINT and agent.running:
                print(FINISHING, flush=True)
            stop.set()
        elif not agent.is_in_haste:
            agent.hurry()
        else:
            os._exit(NOT_SAVED)

    signal.signal(signal.SIGINT, heed)
    signal.signal(signal.SIGTERM, heed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{program()} agent",
        description="Run jobs on the ComfyUI beside it: an agent connects to the engine of a bridge, takes jobs that "
        "its ComfyUI can run, and hands in their results. Nothing needs to reach the agent.",
        epilog="Every option can also be set in the environment or in .env, as those of the bridge: --name is "
        f"{environment_name('agent_name')}, --engine is {environment_name('engine')}. Other users of the machine can "
        "read the command line, so an address with a password belongs into the environment.",
    )
    add_version(parser)
    for name, option in OPTIONS.items():
        field = Settings.model_fields[name]
        shown = ""
        if isinstance(field.default, (str, int, float)):
            shown = f" ({str(field.default).lower() if isinstance(field.default, bool) else field.default})"
        parser.add_argument(
            f"--{option}", dest=name, metavar="VALUE", help=f"{field.description}{shown}".replace("%", "%%")
        )
    return parser
