"""When a webhook is tried again, and the record of it."""

from __future__ import annotations

import pytest

from comfybridge.jobs.signing import signed_headers
from comfybridge.jobs.tries import (
    KEPT_SECONDS,
    LONGEST_RETRY_AFTER,
    PAUSES,
    Tries,
    not_tried,
    pause_before_next,
    told_to_wait,
)


def test_pauses_grow_over_days_with_jitter() -> None:
    for count, pause in enumerate(PAUSES, 1):
        drawn = {pause_before_next(count) for _ in range(20)}
        assert len(drawn) > 1
        assert all(each is not None and pause <= each <= 1.1 * pause for each in drawn)
    assert pause_before_next(len(PAUSES) + 1) is None


def test_the_record_outlives_the_longest_pauses() -> None:
    assert sum(max(each, LONGEST_RETRY_AFTER) for each in PAUSES) * 1.1 < KEPT_SECONDS


def test_a_receiver_may_ask_for_a_longer_pause_within_reason() -> None:
    assert pause_before_next(1, 60, jitter=0) == 60
    assert pause_before_next(2, 60, jitter=0) == 300
    assert pause_before_next(1, 1e9, jitter=0) == LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("status", "value", "seconds"),
    [
        (429, "7", 7),
        (503, " 120 ", 120),
        (503, "Thu, 01 Jan 1970 00:16:50 GMT", 10),
        (503, "Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (503, "99999999999999999999", 999999999),
        (500, "7", None),
        (429, "", None),
        (429, "soon", None),
        (429, "-5", None),
        (429, "²", None),
    ],
)
def test_what_a_receiver_asks_for(status: int, value: str, seconds: float | None) -> None:
    assert told_to_wait(status, {"retry-after": value}, 1000.0) == seconds


def test_a_record_is_read_as_it_was_written() -> None:
    tries = Tries("waiting", 3, 1000.0, 300.0, 502, "x.example answered 502.")
    assert Tries.from_bytes(tries.to_bytes()) == tries


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"null", b'"x"'])
def test_a_broken_record_is_passed_over(data: bytes) -> None:
    assert Tries.from_bytes(data) is None


def test_fields_of_other_versions_are_passed_over() -> None:
    assert Tries.from_bytes(b'{"state":"failed","count":1,"at":5,"new":1}') == Tries("failed", 1, 5)


def test_what_the_owner_sees() -> None:
    assert not_tried(0.0).view()["status"] == "pending"
    assert Tries("trying", 1, 0.0, 60.0).view()["status"] == "delivering"
    waiting = Tries("waiting", 1, 0.0, 5.0, 500, "x.example answered 500.").view()
    assert waiting == {
        "status": "pending",
        "tries": 1,
        "last_status": 500,
        "last_error": "x.example answered 500.",
        "next_at": "1970-01-01T00:00:05.000Z",
        "ended_at": None,
    }
    assert Tries("delivered", 2, 0.5, 0.0, 200).view()["ended_at"] == "1970-01-01T00:00:00.500Z"


def test_the_signature_is_that_of_the_specification() -> None:
    # the example of the specification's libraries
    secret = b"\x30\xa8\x4b\x3e\x54\x4c\x7b\x88\x6e\x8b\x24\x38\xa8\x0f\x8e\x53\x36\xa9\xa2\xf8\x1a\x8a\x5d\x28"
    headers = signed_headers("msg_1", b'{"a":1}', [secret, b"x" * 24], 1614265330.9)
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-timestamp"] == "1614265330"
    first, second = headers["webhook-signature"].split(" ")
    assert first != second
    assert first.startswith("v1,")
    assert "webhook-signature" not in signed_headers("msg_1", b"", [], 0)
