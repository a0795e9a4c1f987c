"""Asks `/health` at a steady pace: `python -m benchmarks.probe URL SECONDS`; it prints the latencies as JSON.

Each time over a new connection, as orchestrators and load balancers do.
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
    """Ask once."""
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
    """Ask for so long; seconds that each answer took, and how many there were not."""
    latencies: list[float] = []
    failed = 0
    due = time.perf_counter()
    end = due + seconds
    while due < end:
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
            due = time.perf_counter()
        # behind time, it counts from when it was due: a slow answer makes those after it late, too
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
