"""The production server: `gunicorn app:app` reads this file, and so does `python app.py`.

Threads, because a request is blocked nearly all of its time; one process, because its slots are counted there.
What may be set (address, slots, time) is taken from ComfyBridge's own settings.
"""

import logging
import sys

from comfybridge.settings import SettingsError, load_settings
from comfybridge.web.announcement import announce
from comfybridge.web.serving import RESERVE, finish_on_ctrl_c

try:
    _settings = load_settings()
except SettingsError as error:
    sys.exit(f"ComfyBridge can't start: {error}")

bind = f"{f'[{_settings.host}]' if ':' in _settings.host else _settings.host}:{_settings.port}"
# When thousands of callers come at once, each of their threads asks for Python's lock so often (5 ms by default), and
# the asking leaves no time for the work. Requests let go of it by themselves, at each call to ComfyUI.
sys.setswitchinterval(0.05)

worker_class = "gthread"
workers = 1
threads = _settings.max_concurrent + RESERVE
worker_connections = threads + 1000  # kept-alive connections that ask for nothing take no thread

# The worker's main thread sends the heartbeat, whatever the request threads do: this is no limit on requests.
timeout = 30
# At a stop, running requests finish; none can last longer than the largest timeout, and its files a little more.
graceful_timeout = int(_settings.max_timeout) + 60
keepalive = 75

loglevel = "warning"
control_socket_disable = True  # a socket file in the user's home that nothing here needs


def when_ready(_server):
    """Log to standard error, before the worker begins."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # what the format has no use for is not found out for every line
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def on_starting(server):
    """Take Ctrl-C as SIGTERM: gunicorn's own way would drop what runs."""
    server.handle_int = server.handle_term


def post_worker_init(worker):
    """Say what is served, once requests are taken."""
    finish_on_ctrl_c(worker)
    address = worker.sockets[0].getsockname()
    announce(worker.wsgi, *address[:2])
