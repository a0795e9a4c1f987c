"""Running the application in a real server: gunicorn where it exists, waitress elsewhere (Windows)."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask

from comfybridge.settings import Settings
from comfybridge.web.announcement import announce

GUNICORN_SETTINGS = Path(__file__).resolve().parent.parent.parent / "gunicorn.conf.py"
# Threads beyond the slots: for /health and /ready, and for saying "busy" at once.
RESERVE = 32

# What waitress takes from an answer before the caller has read it; 16 MB of its own accord, for each of them.
OUTGOING_BYTES = 1024 * 1024

# Windows has no poll, and its select takes 512 sockets: beyond that the whole server would die of it.
MOST_CONNECTIONS_OF_SELECT = 480

log = logging.getLogger(__name__)

LoadApp = Callable[[], Flask]


def serve(load_app: LoadApp, settings: Settings) -> None:
    """Serve until told to stop (Ctrl-C, SIGTERM); running requests finish first.

    Args:
        load_app: makes the application, in the process that serves it.
        settings: where to listen, and how many requests at once.
    """
    try:
        from gunicorn.app.base import Application
    except ImportError:  # it needs fcntl, which Windows does not have
        serve_with_waitress(load_app, settings)
        return

    class Gunicorn(Application):  # type: ignore[misc]  # untyped
        def load_config(self) -> None:
            self.load_config_from_file(str(GUNICORN_SETTINGS))

        def load(self) -> Flask:
            return load_app()

    sys.argv = sys.argv[:1]  # gunicorn would read our options as its own
    Gunicorn().run()


def finish_on_ctrl_c(worker: Any) -> None:
    """Have a gunicorn worker finish its requests at the first Ctrl-C, as at SIGTERM, and end at the second."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, lambda *_: os._exit(1))
        print("Finishing the requests that run; Ctrl-C again drops them.", flush=True)
        worker.handle_exit(number, frame)

    signal.signal(signal.SIGINT, stop)


def serve_with_waitress(load_app: LoadApp, settings: Settings) -> None:
    """Serve with waitress, which runs everywhere.

    Its own stop drops requests that run, so the loop is run from here: at a stop the listening sockets are closed,
    and the loop goes on until the last answer has been sent.
    """
    import waitress
    from waitress import wasyncore

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    use_poll = hasattr(select, "poll")
    connections = settings.max_concurrent + 1000
    if not use_poll and connections > MOST_CONNECTIONS_OF_SELECT:
        connections = MOST_CONNECTIONS_OF_SELECT
        if settings.max_concurrent > connections:
            log.warning("This system holds %d connections at most; more callers wait to be taken.", connections)
    sockets: dict[int, Any] = {}
    app = load_app()
    server = waitress.create_server(
        app,
        map=sockets,
        host=settings.host,
        port=settings.port,
        threads=settings.max_concurrent + RESERVE,
        connection_limit=connections,
        max_request_body_size=2**40,  # the application itself limits bodies, with an answer that says so
        ident=None,
        outbuf_high_watermark=OUTGOING_BYTES,
        log_socket_errors=False,  # with tracebacks; of an answer that had to be cut off, the log tells already
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    announce(app, server.effective_host, server.effective_port)
    try:
        wasyncore.loop(timeout=1, map=sockets, use_poll=use_poll)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, lambda *_: os._exit(1))
        print("Finishing the requests that run; Ctrl-C again drops them.", flush=True)
        _finish_requests(sockets, use_poll)
    server.task_dispatcher.shutdown()


def _finish_requests(sockets: dict[int, Any], use_poll: bool) -> None:
    from waitress import wasyncore
    from waitress.channel import HTTPChannel
    from waitress.server import BaseWSGIServer

    for listening in [each for each in sockets.values() if isinstance(each, BaseWSGIServer)]:
        wasyncore.dispatcher.close(listening)
    while any(each.requests or each.total_outbufs_len for each in sockets.values() if isinstance(each, HTTPChannel)):
        wasyncore.loop(timeout=0.2, map=sockets, use_poll=use_poll, count=1)
