"""Calls `/health` at a steady pace: `python -m benchmarks.probe URL SECONDS`; it prints the latencies as JSON.

It uses a new connection for each call, as orchestrators and load balancers do.
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
from urllib.parse import urlsplit

PER_SECOND = 50
TIMEOUT = 30.0


def healthy(url: str) -> bool:
    """Call it once."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", "/health", headers={"Connection": "close"})
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def probe(url: str, seconds: float) -> tuple[list[float], int]:
    """Call it for a number of seconds; returns the seconds of each answer, and the number of failures."""
    latencies: list[float] = []
    failed = 0
    due = time.perf_counter()
    end = due + seconds
    while due < end:
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
            due = time.perf_counter()
        # a late call counts from when it was due: a slow answer delays the following ones, too
        if healthy(url):
            latencies.append(time.perf_counter() - due)
        else:
            failed += 1
        due += 1 / PER_SECOND
    return latencies, failed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    latencies, failed = probe(options.url, options.seconds)
    print(json.dumps({"latencies": latencies, "failed": failed}))


if __name__ == "__main__":
    main()
