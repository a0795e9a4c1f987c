"""`python -m comfybridge.simulator`: the simulator alone, as a ComfyUI to try things on."""

import argparse
import signal
import threading
from types import FrameType

from comfybridge.simulator.simulator import Simulator
from comfybridge.simulator.version import NEWEST, OLDEST, Version


def main(arguments: list[str] | None = None) -> int:
    """Serves until Ctrl-C or SIGTERM; returns the exit code."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    simulator = Simulator(
        host=options.host,
        port=options.port,
        step_seconds=options.step_seconds,
        checkpoints=options.checkpoint,
        version=options.version,
        directory=options.directory,
    )
    try:
        simulator.start()
    except OSError as error:
        print(f"Cannot listen on {options.host}:{options.port}: {error.strerror}", flush=True)
        return 1
    try:
        print(f"ComfyUI simulator listening on {simulator.url}", flush=True)
        while not stop.wait(0.5):  # Windows notices Ctrl-C only between waits
            pass
    finally:
        simulator.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m comfybridge.simulator", description="A stand-in for a ComfyUI server."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8188, help="0 lets the system choose")
    parser.add_argument("--step-seconds", type=float, default=0.02, help="time of one sampling step")
    parser.add_argument("--checkpoint", action="append", help="a checkpoint's name; may be given several times")
    parser.add_argument(
        "--version",
        type=_version,
        default=NEWEST,
        help=f"the ComfyUI to pose as: {NEWEST} (the default), {OLDEST} or another version",
    )
    parser.add_argument("--directory", help="keep input and output files here instead of in a temporary folder")
    return parser


def _version(text: str) -> str:
    try:
        return Version(text).text
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    raise SystemExit(main())
