"""Running the application in a real server: gunicorn where it exists, waitress elsewhere (Windows)."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from flask import Flask

from comfybridge import logs
from comfybridge.serving.announcement import announce
from comfybridge.serving.bodies import MOST_IN_MEMORY, LimitsOf
from comfybridge.serving.demo import end_demo
from comfybridge.serving.open_files import KEPT_BACK, RESERVE, most_connections
from comfybridge.serving.refusals import LONGEST_HEAD, admits_all, write_plainly
from comfybridge.serving.stopping import LAST_SECONDS, Stop, begin_jobs, end_jobs
from comfybridge.settings import Settings
from comfybridge.shipped import shipped
from comfybridge.web.parsing.body_stream import MOST_DISCARDED

GUNICORN_SETTINGS = shipped("gunicorn.conf.py")
# Bytes of an answer that waitress takes before the caller has read them; its own default is 16 MB for each caller.
OUTGOING_BYTES = 1024 * 1024

# Windows has no poll, and its select accepts 512 sockets; one more would crash the whole server.
MOST_CONNECTIONS_OF_SELECT = 480

FINISHING = "Finishing the running requests; press Ctrl-C again to cancel them."

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


def heed_signals(worker: Any) -> None:
    """Have a gunicorn worker finish its requests at the first Ctrl-C, as at SIGTERM.

    At the second, as at SIGQUIT, it stops waiting for them; at the third it exits at once.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, hurry)
        if worker.stop.has_requests:
            print(FINISHING, flush=True)
        worker.handle_exit(number, frame)

    def hurry(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, lambda *_: os._exit(1))
        worker.stop.hurry()
        worker.handle_exit(number, frame)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGQUIT, hurry)


def serve_with_waitress(load_app: LoadApp, settings: Settings) -> None:
    """Serve with waitress, which runs everywhere, until told to stop; running requests finish first."""
    import waitress
    from waitress.server import BaseWSGIServer

    from comfybridge.serving.waitress_loop import Loop
    from comfybridge.serving.waitress_requests import be_strict

    logs.configure(settings.log_format, quotes=settings.log_prompts)
    use_poll = hasattr(select, "poll")
    connections = most_connections(settings)
    if not use_poll and connections > MOST_CONNECTIONS_OF_SELECT:
        connections = MOST_CONNECTIONS_OF_SELECT
        if settings.max_concurrent > connections:
            log.warning("This system allows at most %d connections; more callers have to wait.", connections)
    sockets: dict[int, Any] = {}
    app = load_app()
    server = waitress.create_server(
        app,
        map=sockets,
        host=settings.host,
        port=settings.port,
        threads=settings.max_concurrent + RESERVE,
        connection_limit=connections,
        # the application limits bodies, with an answer that says so; this limit is for bodies too large even to
        # discard
        max_request_body_size=max(settings.max_json_bytes + settings.max_upload_bytes, settings.max_asset_bytes)
        + MOST_DISCARDED,
        # waitress notices that a caller hangs up while its request runs only if it may read ahead
        channel_request_lookahead=int(settings.cancel_on_hangup),
        ident=None,
        outbuf_high_watermark=OUTGOING_BYTES,
        inbuf_overflow=MOST_IN_MEMORY,
        max_request_header_size=LONGEST_HEAD,
        log_socket_errors=False,  # with tracebacks; the log already reports an answer that had to be cut off
    )
    limits = LimitsOf.of(settings)
    servers = [each for each in sockets.values() if isinstance(each, BaseWSGIServer)]
    app_refusal = getattr(app, "write_refusal", write_plainly)
    for each in servers:
        be_strict(each, getattr(app, "admits", admits_all), limits, KEPT_BACK, app_refusal)
    loop = Loop(sockets, use_poll=use_poll, patience=settings.caller_timeout, most=connections, stop=Stop(app))
    loop.heed_signals(FINISHING)
    # several where a name such as localhost stands for several addresses
    several = getattr(server, "effective_listen", None)
    announce(app, several or [(server.effective_host, server.effective_port)])
    begin_jobs(app)
    loop.run(settings.shutdown_seconds + LAST_SECONDS)
    for each in servers:
        each.task_dispatcher.shutdown()
    end_jobs(app)
    end_demo(app)
