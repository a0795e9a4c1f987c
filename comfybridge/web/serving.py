"""Running the application in a real server: gunicorn where it exists, waitress elsewhere (Windows)."""

from __future__ import annotations

import logging
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask

from comfybridge.settings import Settings
from comfybridge.web.announcement import announce

GUNICORN_SETTINGS = Path(__file__).resolve().parent.parent.parent / "gunicorn.conf.py"
RESERVE = 32  # threads beyond the slots, as in gunicorn.conf.py

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


def serve_with_waitress(load_app: LoadApp, settings: Settings) -> None:
    """Serve with waitress, which runs everywhere.

    Its own stop drops requests that run, so the loop is run from here: at a stop the listening sockets are closed,
    and the loop goes on until the last answer has been sent.
    """
    import waitress
    from waitress import wasyncore

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sockets: dict[int, Any] = {}
    app = load_app()
    server = waitress.create_server(
        app,
        map=sockets,
        host=settings.host,
        port=settings.port,
        threads=settings.max_concurrent + RESERVE,
        connection_limit=settings.max_concurrent + 1000,
        max_request_body_size=2**40,  # the application itself limits bodies, with an answer that says so
        ident=None,
        asyncore_use_poll=hasattr(select, "poll"),
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    announce(app, server.effective_host, server.effective_port)
    try:
        wasyncore.loop(timeout=1, map=sockets, use_poll=server.adj.asyncore_use_poll)
    except KeyboardInterrupt:
        _finish_requests(sockets, server.adj.asyncore_use_poll)
    server.task_dispatcher.shutdown()


def _finish_requests(sockets: dict[int, Any], use_poll: bool) -> None:
    from waitress import wasyncore
    from waitress.channel import HTTPChannel
    from waitress.server import BaseWSGIServer

    for listening in [each for each in sockets.values() if isinstance(each, BaseWSGIServer)]:
        wasyncore.dispatcher.close(listening)
    while any(each.requests or each.total_outbufs_len for each in sockets.values() if isinstance(each, HTTPChannel)):
        wasyncore.loop(timeout=0.2, map=sockets, use_poll=use_poll, count=1)
