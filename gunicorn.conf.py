"""The production server: `gunicorn app:app` reads this file, and so does `python app.py`.

It uses threads, because a request waits nearly all of its time, and one process, because each process counts its own
slots. The address, the slots and the time limits come from ComfyBridge's own settings.
"""

import math
import sys

from comfybridge import logs
from comfybridge.serving.announcement import announce
from comfybridge.serving.bodies import LimitsOf
from comfybridge.serving.demo import end_demo
from comfybridge.serving.giving_way import give_way
from comfybridge.serving.memory import use_little
from comfybridge.serving.open_files import KEPT_BACK, RESERVE, most_connections
from comfybridge.serving.serve import heed_signals
from comfybridge.serving.stopping import LAST_SECONDS, Stop, begin_jobs, end_jobs
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
worker_connections = most_connections(_settings)  # idle ones take no thread

# callers that wait to be taken, as far as the system allows; others try again a second later
backlog = 16384

# The worker's main thread sends the heartbeat, whatever the request threads do, so this does not limit requests.
timeout = 30
# On shutdown, running requests finish; those that have not by then get an error.
graceful_timeout = math.ceil(_settings.shutdown_seconds) + LAST_SECONDS
keepalive = 75

loglevel = "warning"
control_socket_disable = True  # a socket file in the user's home that nothing here needs


def when_ready(server):
    """Send the log, gunicorn's own messages included, to standard error before the worker starts."""
    formatter = logs.configure(_settings.log_format, quotes=_settings.log_prompts)
    for handler in server.log.error_log.handlers:
        handler.setFormatter(formatter)


def on_starting(server):
    """Treat Ctrl-C as SIGTERM: gunicorn would drop running requests. Check the addresses to listen on."""
    if server.cfg.is_ssl:
        sys.exit("ComfyBridge can't start: it does not speak TLS; put a proxy that does before it.")
    server.handle_int = server.handle_term
    try:
        # gunicorn's own options may name other addresses; a Unix socket is a path, and one from systemd a number
        check_start(_settings, *[address[0] for address in server.cfg.address if isinstance(address, tuple)])
    except SettingsError as error:
        sys.exit(f"ComfyBridge can't start: {error}")


def post_worker_init(worker):
    """Set the worker up, and announce what it serves."""
    worker.patience = _settings.caller_timeout
    worker.limits = LimitsOf.of(_settings)
    worker.takes_leavers = not _settings.cancel_on_hangup
    worker.kept_back = KEPT_BACK
    use_little()
    give_way()
    worker.stop = Stop(worker.wsgi)
    heed_signals(worker)
    if worker.age == 1:  # the first worker speaks for all
        places = [each.getsockname() for each in worker.sockets]
        announce(worker.wsgi, [place if isinstance(place, str) else place[:2] for place in places])
    begin_jobs(worker.wsgi)
    if sharing.is_sharing():
        from comfybridge.web.monitoring.metrics import publish_always

        publish_always(worker.wsgi)


def nworkers_changed(_server, count, _before):
    """Have several workers share their metrics. Called before the first worker starts."""
    if count > 1 and _settings.metrics:
        sharing.begin_sharing()


def worker_exit(_server, worker):
    """Leave the jobs to others. Stop the demo's simulator, and delete its files."""
    end_jobs(getattr(worker, "wsgi", None))
    end_demo(getattr(worker, "wsgi", None))


def child_exit(_server, worker):
    """Remove from the metrics what an ended worker held."""
    sharing.process_ended(worker.pid)


def on_exit(_server):
    """Delete the files of shared metrics."""
    sharing.end_sharing()
