"""The production server: `gunicorn app:app` reads this file, and so does `python app.py`.

Threads, because a request is blocked nearly all of its time; one process, because its slots are counted there.
What may be set (address, slots, time) is taken from ComfyBridge's own settings.
"""

import math
import sys

from comfybridge import logs
from comfybridge.serving.announcement import announce
from comfybridge.serving.demo import end_demo
from comfybridge.serving.memory import use_little
from comfybridge.serving.open_files import KEPT_BACK, RESERVE, most_connections
from comfybridge.serving.serve import give_way, heed_signals
from comfybridge.serving.stopping import LAST_SECONDS, Stop
from comfybridge.settings import SettingsError, load_settings
from comfybridge.web.access.door import check_start
from comfybridge.web.monitoring import sharing

try:
    _settings = load_settings()
    check_start(_settings)
except SettingsError as error:
    sys.exit(f"ComfyBridge can't start: {error}")

bind = f"{f'[{_settings.host}]' if ':' in _settings.host else _settings.host}:{_settings.port}"

worker_class = "comfybridge.serving.gunicorn_worker.Worker"
workers = 1
threads = _settings.max_concurrent + RESERVE
worker_connections = most_connections(_settings)  # those that ask for nothing take no thread

backlog = (
    16384  # callers that wait to be taken, as far as the system allows: beyond that they try again a second later
)

# The worker's main thread sends the heartbeat, whatever the request threads do: this is no limit on requests.
timeout = 30
# At a stop, running requests finish; then those that have not are told so.
graceful_timeout = math.ceil(_settings.shutdown_seconds) + LAST_SECONDS
keepalive = 75

loglevel = "warning"
control_socket_disable = True  # a socket file in the user's home that nothing here needs


def when_ready(server):
    """Log to standard error, gunicorn's own messages too, before the worker begins."""
    formatter = logs.configure(_settings.log_format, quotes=_settings.log_prompts)
    for handler in server.log.error_log.handlers:
        handler.setFormatter(formatter)


def on_starting(server):
    """Take Ctrl-C as SIGTERM: gunicorn's own way would drop what runs. Listen only where that is meant."""
    if server.cfg.is_ssl:
        sys.exit("ComfyBridge can't start: it does not speak TLS; put a proxy that does before it.")
    server.handle_int = server.handle_term
    try:
        # gunicorn's own options may name others than the settings; a Unix socket is a path, and systemd's a number
        check_start(_settings, *[address[0] for address in server.cfg.address if isinstance(address, tuple)])
    except SettingsError as error:
        sys.exit(f"ComfyBridge can't start: {error}")


def post_worker_init(worker):
    """Log what is served, once requests are taken."""
    worker.patience = _settings.caller_timeout
    worker.most_body = _settings.max_json_bytes + _settings.max_upload_bytes
    worker.most_bodies = _settings.max_total_body_bytes
    worker.takes_leavers = not _settings.cancel_on_hangup
    worker.kept_back = KEPT_BACK
    use_little()
    give_way()
    worker.stop = Stop(worker.wsgi)
    heed_signals(worker)
    if worker.age == 1:  # the first of them speaks for all
        places = [each.getsockname() for each in worker.sockets]
        announce(worker.wsgi, [place if isinstance(place, str) else place[:2] for place in places])
    if sharing.is_sharing():
        from comfybridge.web.monitoring.metrics import publish_always

        publish_always(worker.wsgi)


def nworkers_changed(_server, count, _before):
    """Have several workers share their metrics. Called before the first of them begins."""
    if count > 1 and _settings.metrics:
        sharing.begin_sharing()


def worker_exit(_server, worker):
    """Leave nothing of the demo behind."""
    end_demo(getattr(worker, "wsgi", None))


def child_exit(_server, worker):
    """Leave out of the metrics what a worker held that has ended."""
    sharing.process_ended(worker.pid)


def on_exit(_server):
    """Leave nothing behind."""
    sharing.end_sharing()
