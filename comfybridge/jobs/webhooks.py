"""Reports the end of jobs to the URLs that their callers named, by the Standard Webhooks specification.

Every bridge knows the webhooks that are to be delivered, from what it follows in the engine, and claims each try
there (see `tries`), so that only one makes it. What a webhook says is in the result of its job; there is no other
store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from comfybridge.deadline import Deadline
from comfybridge.engine.engine import Conflict, Engine, Full, Message
from comfybridge.errors import EngineUnreachable
from comfybridge.files.post import NotPosted, Reply, post
from comfybridge.jobs.hooks import SLOW_SECONDS, Hook, Hooks
from comfybridge.jobs.job import BrokenRecord, Result
from comfybridge.jobs.signing import signed_headers
from comfybridge.jobs.tries import (
    CLAIM_SECONDS,
    KEPT_SECONDS,
    PAUSES,
    Tries,
    not_tried,
    pause_before_next,
    told_to_wait,
)
from comfybridge.jobs.webhook_urls import outside_for_webhooks
from comfybridge.settings import Settings
from comfybridge.webhook_secrets import secrets_of

log = logging.getLogger(__name__)

STREAM = "COMFYBRIDGE_RESULTS"
RESULT = "comfybridge.kept.result.hook."
TRIES = "comfybridge.tries."
TRY_SECONDS = 15.0
ENGINE_PAUSE = 2.0  # before a try is claimed again, while the engine is away or another bridge was first
SETTLE_SECONDS = 20.0  # in which the end of a try is written down, while the engine is away
CLOSE_SECONDS = 2.0  # for the tries that are under way


class Webhooks:
    """Delivers webhooks, in threads of its own.

    Args:
        write_body: makes what is sent of a result. Raises EngineUnreachable if it can't do so now.
        counted: told the outcome of each try: delivered, failed, gone (the receiver wants no more) or given_up.
        pauses: seconds before each further try; None: `PAUSES`.
        claim_seconds: after which the try of a bridge that died is made again.
        try_seconds: that a receiver may take.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        write_body: Callable[[Result], bytes],
        counted: Callable[[str], None] = lambda outcome: None,
        *,
        pauses: Sequence[float] | None = None,
        claim_seconds: float = CLAIM_SECONDS,
        try_seconds: float = TRY_SECONDS,
    ) -> None:
        self._engine = engine
        self._secrets = settings.webhook_secrets
        self._outside = outside_for_webhooks(settings)
        self._write_body = write_body
        self._counted = counted
        self._pauses = PAUSES if pauses is None else pauses
        self._claim_seconds = claim_seconds
        self._try_seconds = try_seconds
        self._changed = threading.Condition()  # guards all that follows
        self._hooks = Hooks()
        self._is_caught_up = False
        self._is_closing = threading.Event()
        self._under_way: dict[threading.Thread, Deadline] = {}
        self._warned = False
        self._planner: threading.Thread | None = None
        self._stop_following: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to deliver: what comes, and what is left from before.

        Raises:
            EngineUnreachable
        """
        subjects = [f"{RESULT}*", f"{TRIES}*"]
        self._stop_following = self._engine.follow(STREAM, subjects, self._hear, self._catch_up, self._forget)
        self._planner = threading.Thread(target=self._plan, name="webhooks", daemon=True)
        self._planner.start()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Stop. Tries that are not over within some seconds are cut off, and made again by another process."""
        self._is_closing.set()
        with self._changed:
            self._changed.notify_all()
        if self._planner is not None:
            self._planner.join()
        self._stop_following()
        until = time.monotonic() + seconds
        for thread in self._running():
            thread.join(max(0.0, until - time.monotonic()))
        with self._changed:
            for limit in self._under_way.values():
                limit.cut()
        for thread in self._running():
            thread.join(1.0)

    def waiting(self) -> int:
        """How many webhooks are still to be delivered."""
        with self._changed:
            return len(self._hooks)

    # -- what the engine tells, in its thread ------------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        job_id = message.subject.rpartition(".")[2]
        if message.subject.startswith(RESULT):
            result = _result_in(message)
            if result is not None and result.webhook:
                host = (urlsplit(result.webhook).hostname or "").lower()
                new = Hook(job_id, host, time.monotonic(), not_tried(result.ended), message.sequence)
                with self._changed:
                    self._hooks.add(new)
                    self._changed.notify_all()
            return
        tries = Tries.from_bytes(message.data)
        with self._changed:
            hook = self._hooks.get(job_id)
            if hook is None or tries is None:
                return
            if tries.has_ended:
                self._hooks.end(job_id)
                return
            hook.tries, hook.sequence = tries, message.sequence
            # a record from before this process listened has aged; a clock that was set must not stretch the pause
            age = 0.0 if self._is_caught_up else max(0.0, time.time() - message.at)
            self._hooks.set_due(hook, time.monotonic() + max(0.0, tries.pause - age))
            self._changed.notify_all()

    def _catch_up(self) -> None:
        with self._changed:
            self._is_caught_up = True
            self._changed.notify_all()

    def _forget(self) -> None:
        with self._changed:
            self._is_caught_up = False
            self._hooks.clear()

    # -- when to try -------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Begin each try when it is due, until this is closed."""
        with self._changed:
            while not self._is_closing.is_set():
                hook = self._hooks.take(time.monotonic()) if self._is_caught_up else None
                if hook is not None:
                    self._begin(hook)
                    continue
                due = self._hooks.next_due() if self._is_caught_up else None
                self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))

    def _begin(self, hook: Hook) -> None:
        limit = Deadline(self._try_seconds)
        thread = threading.Thread(target=self._run, args=(hook, limit), name=f"webhook {hook.id}", daemon=True)
        self._under_way[thread] = limit
        try:
            thread.start()
        except RuntimeError:  # the system allows no more threads
            del self._under_way[thread]
            hook.due = time.monotonic() + ENGINE_PAUSE
            self._hooks.give_back(hook, is_lame=None)

    def _running(self) -> list[threading.Thread]:
        with self._changed:
            return list(self._under_way)

    # -- one try, in a thread of its own -----------------------------------------------------------------------------

    def _run(self, hook: Hook, limit: Deadline) -> None:
        is_lame, again_in = None, 0.0
        try:
            is_lame = self._try(hook, limit)
        except (EngineUnreachable, Full, Conflict):
            again_in = ENGINE_PAUSE
        except Exception:
            log.exception("The webhook of job %s could not be tried.", hook.id)
            again_in = self._claim_seconds
        with self._changed:
            del self._under_way[threading.current_thread()]
            hook.due = max(hook.due, time.monotonic() + again_in)  # unless a record that comes says otherwise
            self._hooks.give_back(hook, is_lame=is_lame)
            self._changed.notify_all()

    def _try(self, hook: Hook, limit: Deadline) -> bool | None:
        """Claim a try, make it, and write down how it ended.

        Returns:
            Whether the receiver was slow or failed; None if it was not asked.

        Raises:
            Conflict: another bridge was first.
            EngineUnreachable, Full: it could not be claimed.
        """
        with self._changed:  # or a record might come between one of these and the next
            before, last = hook.tries, hook.sequence
            if hook.is_over or hook.due > time.monotonic():  # one has come since this try was begun
                return None
        claim = replace(before, state="trying", count=before.count + 1, at=time.time(), pause=self._claim_seconds)
        sequence = self._claim(hook, claim, last)
        with self._changed:
            hook.due = time.monotonic() + self._claim_seconds
        try:
            message = self._engine.get(STREAM, RESULT + hook.id)
            result = None if message is None else _result_in(message)
            if result is None or result.webhook is None:
                self._settle(hook, sequence, replace(claim, state="failed", error="Its result is no longer kept."))
                return None
            body = self._write_body(result)
        except EngineUnreachable:
            self._settle(hook, sequence, replace(before, state="waiting", pause=ENGINE_PAUSE))
            return None
        started = time.monotonic()
        limit.extend(started - limit.started)
        try:
            reply = self._post(result, body, limit)
        except NotPosted as error:
            if limit.is_cut:
                self._settle(hook, sequence, replace(before, state="waiting", pause=0.0))
            else:
                self._failed(hook, sequence, result, replace(claim, status=None, error=str(error)))
            return True
        self._take(hook, sequence, result, claim, reply)
        return time.monotonic() - started > SLOW_SECONDS

    def _claim(self, hook: Hook, claim: Tries, last: int) -> int:
        """Store the record that claims a try. Returns its sequence; raises as `_try`."""
        subject, data = TRIES + hook.id, claim.to_bytes()
        try:
            return self._engine.publish(subject, data, expected=last, ttl=KEPT_SECONDS)
        except Conflict:
            stored = None if last else self._engine.get(STREAM, subject)
            if stored is None or stored.sequence > hook.result:
                raise
        return self._engine.publish(subject, data, expected=stored.sequence, ttl=KEPT_SECONDS)

    def _post(self, result: Result, body: bytes, limit: Deadline) -> Reply:
        secrets = secrets_of(result.owner, self._secrets)
        if not secrets and not self._warned:
            self._warned = True
            log.warning(
                "Webhooks are sent unsigned, so their receivers can't tell who sent them: "
                "COMFYBRIDGE_WEBHOOK_SECRETS has no secret for their callers."
            )
        assert result.webhook is not None
        headers = signed_headers(webhook_id(result), body, secrets, time.time())
        return post(self._outside, result.webhook, body, headers, limit)

    def _take(self, hook: Hook, sequence: int, result: Result, claim: Tries, reply: Reply) -> None:
        """Act on an answer."""
        answered = replace(claim, status=reply.status, error=f"{hook.host} answered {reply.status}.")
        if 200 <= reply.status < 300:
            self._end(hook, sequence, result, replace(answered, state="delivered", error=None), "delivered")
        elif reply.status == 410:
            sentence = f"{hook.host} answered 410: it wants no more webhooks at this URL."
            self._end(hook, sequence, result, replace(answered, state="failed", error=sentence), "gone")
        else:
            if 300 <= reply.status < 400:
                answered = replace(
                    answered, error=f"{hook.host} answered {reply.status}; redirects are not followed."
                )
            self._failed(hook, sequence, result, answered, told_to_wait(reply.status, reply.headers, time.time()))

    def _failed(self, hook: Hook, sequence: int, result: Result, tried: Tries, told: float | None = None) -> None:
        pause = pause_before_next(tried.count, told, pauses=self._pauses)
        if pause is None:
            self._end(hook, sequence, result, replace(tried, state="failed"), "given_up")
            return
        self._counted("failed")
        self._settle(hook, sequence, replace(tried, state="waiting", pause=pause), result)

    def _end(self, hook: Hook, sequence: int, result: Result, tried: Tries, outcome: str) -> None:
        self._counted(outcome)
        log.log(
            logging.INFO if outcome == "delivered" else logging.WARNING,
            "Webhook of job %s to %s: %s, tries %d%s",
            hook.id,
            hook.host,
            outcome.replace("_", " "),
            tried.count,
            f". {tried.error}" if tried.error else "",
        )
        self._settle(hook, sequence, tried, result)

    def _settle(self, hook: Hook, sequence: int, tries: Tries, result: Result | None = None) -> None:
        """Write down how a try ended. If the engine stays away, its claim becomes void, and the try is made again."""
        now = time.time()
        data = replace(tries, at=now).to_bytes()
        ttl = KEPT_SECONDS if result is None else max(KEPT_SECONDS, result.expires_at - now)
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                self._engine.publish(TRIES + hook.id, data, expected=sequence, ttl=ttl)
            except Conflict:  # the claim was void, and another bridge tries
                return
            except (EngineUnreachable, Full):
                if time.monotonic() < until and not self._is_closing.wait(ENGINE_PAUSE):
                    continue
                log.warning("It could not be written down how a try of the webhook of job %s ended.", hook.id)
            return


def webhook_id(result: Result) -> str:
    """The id of a webhook, the same at each try: the job, when it was added, and what happened to it.

    Jobs that are added with the same idempotency key, one after the other's result has expired, have the same id.
    """
    return f"{result.id}-{result.created:.0f}-{result.status}"


def _result_in(message: Message) -> Result | None:
    """The result in a message; None, with a line in the log, if it can't be read."""
    try:
        return Result.from_bytes(message.data)
    except BrokenRecord as error:
        log.warning("The result of job %s is passed over: %s.", message.subject.rpartition(".")[2], error)
        return None
