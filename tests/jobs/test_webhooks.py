"""Webhooks, from the result of a job in a real engine to a real receiver."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Engine
from comfybridge.errors import EngineUnreachable
from comfybridge.jobs.hooks import TO_ONE_HOST, Hook
from comfybridge.jobs.job import Result
from comfybridge.jobs.tries import Tries
from comfybridge.jobs.webhooks import RESULT, STREAM, TRIES, Webhooks
from comfybridge.settings import Settings, load_settings
from comfybridge.state import StateFolder
from tests import ROOT
from tests.receiver import Receiver, new_secret
from tests.waiting import SECONDS, until_true

SOON = (0.05,) * 8
SHOP, NEXT, OTHERS = new_secret(), new_secret(), new_secret()
LATER = (3600.0,) * 8


def body_of(result: Result) -> bytes:
    return b'{"type":"job.%s","data":{"id":"%s"}}' % (result.status.encode(), result.id.encode())


@pytest.fixture(scope="module")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("state")
    engine = Engine(settings_in(folder), StateFolder(folder))
    yield engine
    engine.close()


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """An engine without any results."""
    for subject in (f"{RESULT}*", f"{TRIES}*"):
        shared_engine.purge(STREAM, subject)
    return shared_engine


def settings_in(folder: Path | None = None, **given: Any) -> Settings:
    return load_settings(_env_file=None, state_dir=folder, fetch_allow_hosts="127.0.0.0/8", **given)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@contextmanager
def delivering(
    engine: Engine,
    pauses: Sequence[float] = SOON,
    write_body: Callable[[Result], bytes] = body_of,
    counts: Counter[str] | None = None,
    *,
    claim_seconds: float = 60.0,
    try_seconds: float = SECONDS,
    **given: Any,
) -> Iterator[Webhooks]:
    counted = Counter[str]() if counts is None else counts
    webhooks = Webhooks(
        engine,
        settings_in(**given),
        write_body,
        lambda outcome: counted.update([outcome]),
        pauses=pauses,
        claim_seconds=claim_seconds,
        try_seconds=try_seconds,
    )
    webhooks.start()
    try:
        yield webhooks
    finally:
        webhooks.close()


def ended(engine: Engine, url: str, **given: Any) -> Result:
    """A job that has ended, as the engine has it from then on."""
    now = time.time()
    job_id = str(uuid.uuid4())
    result = Result(job_id, "kept", given.pop("status", "succeeded"), now, now, "graph", webhook=url, **given)
    engine.publish(RESULT + job_id, result.to_bytes(), expected=0, ttl=600)
    return result


def tries_of(engine: Engine, result: Result) -> Tries | None:
    try:
        message = engine.get(STREAM, TRIES + result.id)
    except EngineUnreachable:
        return None
    return None if message is None else Tries.from_bytes(message.data)


def settled(engine: Engine, result: Result, *states: str) -> Tries:
    """What became of it, once it is in one of the states, by default delivered or failed."""
    found: list[Tries] = []

    def is_there() -> bool:
        tries = tries_of(engine, result)
        if tries is not None and tries.state in (states or ("delivered", "failed")):
            found.append(tries)
        return bool(found)

    until_true(is_there)
    return found[-1]


# -- what is sent ------------------------------------------------------------------------------------------------


def test_the_end_of_a_job_is_reported(engine: Engine, receiver: Receiver) -> None:
    counts: Counter[str] = Counter()
    with delivering(engine, counts=counts):
        result = ended(engine, receiver.url)
        tries = settled(engine, result)
    assert (tries.state, tries.count, tries.status, tries.error) == ("delivered", 1, 200, None)
    [received] = receiver.came
    assert received.json == {"type": "job.succeeded", "data": {"id": result.id}}
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == f"{result.id}-{result.created:.0f}-succeeded"
    assert "webhook-signature" not in received.headers
    assert counts == {"delivered": 1}


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_every_end_is_reported(engine: Engine, receiver: Receiver, status: str) -> None:
    with delivering(engine):
        result = ended(engine, receiver.url, status=status)
        settled(engine, result)
    assert receiver.came[0].headers["webhook-id"] == f"{result.id}-{result.created:.0f}-{status}"


def test_the_secrets_of_the_key_sign(engine: Engine, receiver: Receiver) -> None:
    secrets = f"shop={SHOP},shop={NEXT},default={OTHERS}"
    with delivering(engine, webhook_secrets=secrets, api_keys="shop=sha256:" + "0" * 64):
        settled(engine, ended(engine, receiver.url, owner="shop"))
        settled(engine, ended(engine, receiver.url))
    of_shop, of_nobody = receiver.came
    for secret in (SHOP, NEXT):
        assert Webhook(secret).verify(of_shop.body, of_shop.headers) == of_shop.json
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(secret).verify(of_nobody.body, of_nobody.headers)
    Webhook(OTHERS).verify(of_nobody.body, of_nobody.headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(SHOP).verify(of_shop.body + b" ", of_shop.headers)


def test_results_without_webhooks_are_left_alone(engine: Engine, receiver: Receiver) -> None:
    with delivering(engine) as webhooks:
        engine.publish(RESULT + "broken", b"{", expected=0, ttl=600)
        settled(engine, ended(engine, receiver.url))
        until_true(lambda: webhooks.waiting() == 0)
    assert engine.get(STREAM, TRIES + "broken") is None


# -- tried again -------------------------------------------------------------------------------------------------


def test_failures_are_tried_again_under_the_same_id(engine: Engine, receiver: Receiver) -> None:
    receiver.answers = [500, 404, 302]
    counts: Counter[str] = Counter()
    with delivering(engine, counts=counts, webhook_secrets=f"default={OTHERS}"):
        tries = settled(engine, ended(engine, receiver.url))
    assert (tries.state, tries.count) == ("delivered", 4)
    assert len({each.headers["webhook-id"] for each in receiver.came}) == 1
    assert len({each.body for each in receiver.came}) == 1
    for each in receiver.came:
        Webhook(OTHERS).verify(each.body, each.headers)
    assert counts == {"failed": 3, "delivered": 1}


@pytest.mark.parametrize(
    ("status", "said"),
    [(500, "127.0.0.1 answered 500."), (302, "127.0.0.1 answered 302; redirects are not followed.")],
)
def test_the_last_failure_is_told(engine: Engine, receiver: Receiver, status: int, said: str) -> None:
    receiver.status = status
    with delivering(engine, LATER):
        result = ended(engine, receiver.url)
        tries = settled(engine, result, "waiting")
    assert (tries.status, tries.error, tries.count) == (status, said, 1)
    assert LATER[0] <= tries.pause <= 1.1 * LATER[0]
    assert tries.view()["status"] == "pending"


def test_after_the_last_try_it_is_given_up(
    engine: Engine, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    counts: Counter[str] = Counter()
    with caplog.at_level(logging.INFO), delivering(engine, SOON[:2], counts=counts) as webhooks:
        result = ended(engine, f"{receiver.url}?token=hush")
        tries = settled(engine, result)
        until_true(lambda: webhooks.waiting() == 0)
    assert (tries.state, tries.count, len(receiver.came)) == ("failed", 3, 3)
    assert counts == {"failed": 2, "given_up": 1}
    [line] = [each.getMessage() for each in caplog.records if result.id in each.getMessage()]
    assert line == f"Webhook of job {result.id} to 127.0.0.1: given up, tries 3. 127.0.0.1 answered 500."
    assert "hush" not in caplog.text


def test_a_receiver_that_is_gone_ends_it(engine: Engine, receiver: Receiver) -> None:
    receiver.status = 410
    counts: Counter[str] = Counter()
    with delivering(engine, counts=counts):
        tries = settled(engine, ended(engine, receiver.url))
    assert (tries.state, tries.count, tries.status) == ("failed", 1, 410)
    assert counts == {"gone": 1}


@pytest.mark.parametrize(("status", "is_heeded"), [(429, True), (503, True), (500, False)])
def test_retry_after_is_heeded(engine: Engine, receiver: Receiver, status: int, is_heeded: bool) -> None:
    receiver.status, receiver.headers = status, {"Retry-After": "7200"}
    with delivering(engine, LATER):
        tries = settled(engine, ended(engine, receiver.url), "waiting")
    assert (tries.pause >= 7200) is is_heeded


def test_a_receiver_that_is_not_there_yet(engine: Engine) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    with delivering(engine, (0.05,) * 2000):
        result = ended(engine, f"http://127.0.0.1:{port}/hook")
        until_true(lambda: (tries_of(engine, result) or Tries("waiting", 0, 0)).count >= 3)
        with Receiver(port) as receiver:
            assert settled(engine, result).state == "delivered"
            assert len(receiver.came) == 1


def test_a_silent_receiver_has_only_so_long(engine: Engine, receiver: Receiver) -> None:
    receiver.before_answer = lambda _: receiver.gone.wait(SECONDS)  # type: ignore[assignment,return-value]
    with delivering(engine, LATER, try_seconds=0.1):
        tries = settled(engine, ended(engine, receiver.url), "waiting")
    assert (tries.status, tries.error) == (None, "127.0.0.1 did not answer in time.")


def test_a_body_that_cannot_be_made_is_tried_again(engine: Engine, receiver: Receiver) -> None:
    failures = [EngineUnreachable("It is away."), RuntimeError("a mistake")]

    def write(result: Result) -> bytes:
        if failures:
            raise failures.pop(0)
        return body_of(result)

    with delivering(engine, write_body=write, claim_seconds=0.5):
        tries = settled(engine, ended(engine, receiver.url))
    assert tries.state == "delivered"
    assert failures == []


# -- the address guard -------------------------------------------------------------------------------------------


def test_hosts_that_are_not_public_are_not_contacted(engine: Engine, receiver: Receiver) -> None:
    webhooks = Webhooks(engine, load_settings(_env_file=None), body_of, pauses=LATER)
    webhooks.start()
    tries = settled(engine, ended(engine, receiver.url), "waiting")
    webhooks.close()
    assert "127.0.0.1 is not a public host" in (tries.error or "")
    assert receiver.came == []


# -- side by side ------------------------------------------------------------------------------------------------


def test_a_dead_receiver_delays_nobody_elses(engine: Engine, receiver: Receiver) -> None:
    with Receiver(host="127.0.0.2") as dead:
        dead.before_answer = lambda _: dead.gone.wait(SECONDS)  # type: ignore[assignment,return-value]
        for _ in range(200):
            ended(engine, dead.url)
        with delivering(engine, LATER):
            dead.wait_for(TO_ONE_HOST)
            for _ in range(20):
                assert settled(engine, ended(engine, receiver.url)).state == "delivered"
            assert len(dead.came) == TO_ONE_HOST


def test_several_bridges_deliver_each_once(engine: Engine, receiver: Receiver) -> None:
    with delivering(engine), delivering(engine), delivering(engine):
        results = [ended(engine, receiver.url) for _ in range(60)]
        for result in results:
            settled(engine, result)
    assert Counter(each.headers["webhook-id"] for each in receiver.came) == {
        f"{result.id}-{result.created:.0f}-succeeded": 1 for result in results
    }


def test_a_try_that_begins_late_is_left_to_the_bridge_that_has_made_it(
    engine: Engine, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a thread may start only when the other bridge's try is over."""
    receiver.status = 500
    begun, over = threading.Event(), threading.Event()
    with delivering(engine, LATER) as late:
        run = late._run

        def run_late(hook: Hook, limit: Deadline) -> None:
            begun.set()
            until_true(lambda: hook.tries.state == "waiting" and hook.tries.count == 1)
            run(hook, limit)
            over.set()

        monkeypatch.setattr(late, "_run", run_late)
        result = ended(engine, receiver.url)
        assert begun.wait(SECONDS)
        with delivering(engine, LATER):
            assert over.wait(SECONDS)
            assert settled(engine, result, "waiting").count == 1
    assert len(receiver.came) == 1


# -- bridges come and go -----------------------------------------------------------------------------------------


def test_what_was_left_is_delivered_at_the_next_start(engine: Engine, receiver: Receiver) -> None:
    result = ended(engine, receiver.url)
    with delivering(engine):
        assert settled(engine, result).state == "delivered"
    with delivering(engine):
        settled(engine, ended(engine, receiver.url))
    assert len(receiver.came) == 2


def test_a_pause_goes_on_over_a_restart(engine: Engine, receiver: Receiver) -> None:
    receiver.answers = [500]
    with delivering(engine, LATER):
        result = ended(engine, receiver.url)
        settled(engine, result, "waiting")
    with delivering(engine, LATER) as webhooks:
        settled(engine, ended(engine, receiver.url))
        until_true(lambda: webhooks.waiting() == 1)
    waiting = tries_of(engine, result)
    assert waiting is not None
    message = engine.get(STREAM, TRIES + result.id)
    assert message is not None
    engine.publish(TRIES + result.id, replace(waiting, pause=0.05).to_bytes(), expected=message.sequence)
    with delivering(engine, LATER):
        assert settled(engine, result).count == 2


def test_a_pause_that_is_over_at_the_next_start(
    engine: Engine, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [500]
    with delivering(engine, LATER):
        result = ended(engine, receiver.url)
        settled(engine, result, "waiting")
    real = time.time
    monkeypatch.setattr("comfybridge.jobs.webhooks.time.time", lambda: real() + 1.2 * LATER[0])
    with delivering(engine, LATER):
        assert settled(engine, result).count == 2


def test_the_try_of_a_bridge_that_died_is_made_again(engine: Engine, receiver: Receiver) -> None:
    result = ended(engine, receiver.url)
    claim = Tries("trying", 1, time.time(), 0.3)
    engine.publish(TRIES + result.id, claim.to_bytes(), expected=0, ttl=600)
    with delivering(engine):
        tries = settled(engine, result)
    assert (tries.state, tries.count) == ("delivered", 2)


def test_a_clock_that_was_set_stretches_no_pause(
    engine: Engine, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ended(engine, receiver.url)
    engine.publish(TRIES + result.id, Tries("trying", 1, time.time(), 0.3).to_bytes(), expected=0, ttl=600)
    real = time.time
    monkeypatch.setattr("comfybridge.jobs.webhooks.time.time", lambda: real() - 86400)
    with delivering(engine):
        assert settled(engine, result).state == "delivered"


def test_a_bridge_that_stops_leaves_its_try_to_others(engine: Engine, receiver: Receiver) -> None:
    receiver.before_answer = lambda _: receiver.gone.wait(SECONDS)  # type: ignore[assignment,return-value]
    before = set(threading.enumerate())
    with delivering(engine, LATER) as webhooks:
        result = ended(engine, receiver.url)
        receiver.wait_for(1)
        webhooks.close(0)
        tries = settled(engine, result, "waiting")
        assert (tries.count, tries.pause) == (0, 0.0)
    mine = {each for each in threading.enumerate() if each.name.startswith("webhook")}
    assert mine <= before
    receiver.before_answer = lambda _: None
    with delivering(engine, LATER):
        assert settled(engine, result).count == 1


@pytest.mark.parametrize("starts_late", [False, True])
def test_the_next_job_with_the_same_key_is_reported_too(
    engine: Engine, receiver: Receiver, *, starts_late: bool
) -> None:
    """What became of the first one's webhook is kept for longer than its result."""
    with delivering(engine) as webhooks:
        first = ended(engine, receiver.url)
        assert settled(engine, first).state == "delivered"
        until_true(lambda: webhooks.waiting() == 0)
        engine.purge(STREAM, RESULT + first.id)
        if starts_late:
            webhooks.close()
        sequence = engine.publish(
            RESULT + first.id, replace(first, created=first.created + 2).to_bytes(), expected=0, ttl=600
        )
        if starts_late:
            with delivering(engine):
                receiver.wait_for(2)
        receiver.wait_for(2)
    message = engine.get(STREAM, TRIES + first.id)
    assert message is not None
    assert message.sequence > sequence
    tries = settled(engine, first)
    assert (tries.state, tries.count) == ("delivered", 1)
    ids = [each.headers["webhook-id"] for each in receiver.came]
    assert len(set(ids)) == 2  # or the receiver would take the second one for a repetition of the first


def test_the_next_job_with_the_same_key_does_not_wait_for_the_tries_of_the_first(
    engine: Engine, receiver: Receiver
) -> None:
    """The engine may have had no room for the first one's result any longer."""
    receiver.answers = [500]
    with delivering(engine, LATER):
        first = ended(engine, receiver.url)
        settled(engine, first, "waiting")
        engine.purge(STREAM, RESULT + first.id)
        engine.publish(RESULT + first.id, replace(first, created=first.created + 2).to_bytes(), expected=0, ttl=600)
        assert settled(engine, first).count == 1
    ids = [each.headers["webhook-id"] for each in receiver.came]
    assert len(set(ids)) == 2  # or the receiver would take the second one for a repetition of the first


def test_a_result_that_is_no_longer_kept(engine: Engine, receiver: Receiver) -> None:
    receiver.answers = [500]
    with delivering(engine, (0.5,)) as webhooks:
        result = ended(engine, receiver.url)
        settled(engine, result, "waiting")
        engine.purge(STREAM, RESULT + result.id)
        tries = settled(engine, result)
        until_true(lambda: webhooks.waiting() == 0)
    assert (tries.state, tries.error) == ("failed", "Its result is no longer kept.")


# -- the engine comes and goes -----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise here")
def test_an_engine_that_was_killed_in_mid_delivery(tmp_path: Path, receiver: Receiver) -> None:
    engine = Engine(settings_in(tmp_path), StateFolder(tmp_path))
    waiting = [ended(engine, receiver.url) for _ in range(5)]
    may_answer = threading.Event()
    receiver.before_answer = lambda _: may_answer.wait(SECONDS)  # type: ignore[assignment,return-value]
    with delivering(engine, (0.1,) * 1000):
        receiver.wait_for(TO_ONE_HOST)
        os.kill(int((tmp_path / "engine" / "lock").read_text()), signal.SIGKILL)
        may_answer.set()
        for result in waiting:
            assert settled(engine, result).state == "delivered"
        assert settled(engine, ended(engine, receiver.url)).state == "delivered"
    assert len(receiver.came) == 6  # that an answer came is written down once the engine is back
    engine.close()


def test_an_end_is_written_down_once_the_engine_is_back(
    engine: Engine, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, failures = engine.publish, iter([False, True, True])

    def failing(subject: str, data: bytes, **given: Any) -> int:
        if subject.startswith(TRIES) and next(failures, False):
            raise EngineUnreachable("It is away.")
        return publish(subject, data, **given)

    monkeypatch.setattr("comfybridge.jobs.webhooks.ENGINE_PAUSE", 0.05)
    result = ended(engine, receiver.url)
    monkeypatch.setattr(engine, "publish", failing)
    with delivering(engine, LATER):
        assert settled(engine, result).count == 1
    assert len(receiver.came) == 1


# -- the documentation -------------------------------------------------------------------------------------------


def test_the_receiver_of_the_documentation_verifies_signatures(engine: Engine, tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "jobs.md").read_text("utf-8"), re.DOTALL)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    code = snippet.replace("whsec_...", OTHERS).replace("8000", str(port))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as receiver:
        try:
            url = f"http://127.0.0.1:{port}/hook"
            with delivering(engine, (0.2,) * 1000, webhook_secrets=f"default={OTHERS}"):
                right = ended(engine, url)
                assert settled(engine, right).status == 204
            with delivering(engine, LATER, webhook_secrets=f"default={SHOP}"):
                forged = ended(engine, url)
                assert settled(engine, forged, "waiting").status == 400
        finally:
            receiver.terminate()
        assert receiver.stdout is not None
        assert receiver.stdout.read() == f"job.succeeded {right.id}\n"
