"""Finds the prompts of requests that are repeated with an `Idempotency-Key`.

The id of such a prompt is derived from the key and its owner, so ComfyUI's queue and history show whether any process
has queued it before; no store is needed.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from typing import Any

from comfybridge.comfyui.looks import FRESH_SECONDS
from comfybridge.comfyui.outcome import Prompt, outcome_of_history
from comfybridge.comfyui.servers import Server, Servers
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ComfyUIError, IdempotencyConflict, Interrupted, InvalidRequest
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.processes import Machine
from comfybridge.prompts.record import Record
from comfybridge.prompts.submission import Place, Submission
from comfybridge.request import GenerationRequest, InputFile, OutputOptions
from comfybridge.workflow.filling import Filled

# A namespace of our own, so that other programs do not derive the same ids.
NAMESPACE = uuid.UUID("6f0c9c0e-5d0b-4b39-9b53-0c1f5a7f6e11")

# Fields about waiting, not about the prompt itself: a repeat may differ in them, with a longer timeout, say.
NOT_OF_THE_PROMPT = ("timeout", "wait", "on_timeout", "retries", "idempotency_key", "warnings")


@dataclass(frozen=True)
class Earlier:
    """A prompt that was queued for an earlier request.

    Attributes:
        record: what the caller asked for with it.
        has_ended: whether it is in the history.
        is_over: whether it ended without an answer for the repeated request.
    """

    server: Server
    prompt: Prompt
    record: Record
    has_ended: bool = False
    is_over: bool = False


class Repeats:
    """Finds what became of an earlier request with the same key. Safe to share between threads.

    Args:
        wait: the way of waiting for requests that name none.
    """

    def __init__(self, servers: Servers, machine: Machine, wait: str) -> None:
        self._servers = servers
        self._machine = machine
        self._wait = wait

    def alone(self, admitted: Admitted) -> AbstractContextManager[None]:
        """Keep other requests with the same key on this machine from looking and queueing at the same time.

        Raises:
            TimedOut: they were not done by the deadline.
        """
        return self._machine.alone(prompt_id_of(admitted), admitted.deadline)

    def attach(self, admitted: Admitted, place: Place, *, is_alone: bool) -> Submission | None:
        """The submission of the prompt that was queued for the same key, if it can still provide an answer.

        Args:
            is_alone: whether no other request can queue it now. The search is then thorough, and a history entry that
                provides no answer is deleted, so that it is not mistaken for the next prompt with the same id.
                Otherwise a prompt queued within the last second may be missed.

        Raises:
            IdempotencyConflict: it was queued for another request.
            ComfyUIUnreachable, ComfyUIError, TimedOut: no server could be asked.
        """
        request, deadline = admitted.asked, admitted.deadline
        found = self._find(prompt_id_of(admitted), deadline, is_thorough=is_alone)
        if is_alone:
            for each in found:
                if each.is_over:
                    each.server.client.forget(each.prompt.id, deadline)
        earlier = next((each for each in found if not each.is_over), None)
        if earlier is None:
            return None
        if earlier.record.fingerprint != admitted.fingerprint:
            raise IdempotencyConflict(
                "The Idempotency-Key was used for another request before; a new request needs a new key.",
                prompt_id=earlier.prompt.id,
            )
        waiter = earlier.server.waiters.get("poll" if earlier.has_ended else request.wait or self._wait)
        if waiter is None:
            said = f"wait is {request.wait!r}; it must be one of {', '.join(earlier.server.waiters)}."
            raise InvalidRequest(said, field="wait")
        listener = waiter.attach(earlier.prompt, deadline)
        earlier.server.begin()
        place.move(earlier.server)
        record = earlier.record
        graph = {node: dict(each) for node, each in earlier.prompt.graph.items()}
        return Submission(
            prompt=earlier.prompt,
            admitted=admitted,
            server=earlier.server,
            filled=Filled(graph, params=record.params, seed=record.seed),
            warnings=list(record.warnings),
            queued_at=time.monotonic(),
            listener=listener,
            place=place,
            is_repeat=True,
        )

    def _find(self, prompt_id: str, deadline: Deadline, *, is_thorough: bool) -> list[Earlier]:
        """The prompt on each server that knows it: it may have been queued on several after a failure."""
        found: list[Earlier] = []
        failure: BridgeError | None = None
        for _, said in self._servers.each(
            lambda server, patience: _look(server, prompt_id, patience, is_thorough=is_thorough), deadline
        ):
            if isinstance(said, Earlier):
                found.append(said)
            elif isinstance(said, BridgeError):
                failure = failure or said
        if failure is not None and len(self._servers.all) == 1:
            raise failure
        return found


def prompt_id_of(admitted: Admitted) -> str:
    """The id of a prompt: the given one, or derived from its request's key, or random."""
    key, given = admitted.asked.idempotency_key, admitted.prompt_id
    if given is not None:
        return given if not admitted.part else str(uuid.uuid5(NAMESPACE, json.dumps([given, admitted.part])))
    if key is None:
        return str(uuid.uuid4())
    names = [admitted.owner, key, admitted.part] if admitted.part else [admitted.owner, key]
    return str(uuid.uuid5(NAMESPACE, json.dumps(names)))


def fingerprint_of(request: GenerationRequest) -> str | None:
    """A digest that distinguishes a request from others with the same key; None without a key.

    Only values other than the defaults count, so that later versions of the bridge compute the same digest.
    """
    if request.idempotency_key is None:
        return None
    fields = _changed(request, GenerationRequest())
    for name in NOT_OF_THE_PROMPT:
        fields.pop(name, None)
    fields["output"] = _changed(request.output, OutputOptions())
    fields["images"] = [
        {name: hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value for name, value in each}
        for each in (_compared(image).items() for image in request.images)
    ]
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=repr).encode()).hexdigest()


def _compared(file: InputFile) -> dict[str, Any]:
    return {each.name: getattr(file, each.name) for each in fields(file) if each.compare}


def _changed(options: object, defaults: object) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if value != vars(defaults)[name]}


def _look(server: Server, prompt_id: str, deadline: Deadline, *, is_thorough: bool) -> Earlier | None:
    """The prompt on one server, if it is there."""
    client = server.client
    entry = client.history(prompt_id, deadline)
    earlier = _of_history(server, prompt_id, entry)
    if earlier is not None and not earlier.is_over:
        return earlier
    # The queue may be large, so it comes second, and a search that is not thorough shares its answer with others.
    at = time.monotonic() - (0.0 if is_thorough else FRESH_SECONDS)
    if server.lookup.find(prompt_id, at, deadline) is not None:
        item = client.queued(prompt_id, deadline)
        if item is not None:
            return _earlier(server, prompt_id, item)
    elif not is_thorough or earlier is not None:
        return earlier
    # a prompt found in neither may have moved from the queue to the history meanwhile
    return _of_history(server, prompt_id, client.history(prompt_id, deadline))


def _of_history(server: Server, prompt_id: str, entry: Mapping[str, Any] | None) -> Earlier | None:
    if entry is None:
        return None
    earlier = _earlier(server, prompt_id, entry.get("prompt"))
    return replace(earlier, has_ended=True, is_over=not _is_answer(earlier.prompt, entry))


def _earlier(server: Server, prompt_id: str, item: Any) -> Earlier:
    """From the tuple in which both queue and history store a prompt: number, id, graph, `extra_data`, and more."""
    try:
        graph, extra_data = item[2], item[3]
        prompt = Prompt(prompt_id, {str(node): dict(each) for node, each in graph.items()})
    except (IndexError, KeyError, TypeError, ValueError, AttributeError):
        raise ComfyUIError("ComfyUI's record of the prompt makes no sense.", prompt_id=prompt_id) from None
    return Earlier(server, prompt, Record.from_extra_data(extra_data))


def _is_answer(prompt: Prompt, entry: Mapping[str, Any]) -> bool:
    """Whether a prompt that has ended provides an answer. A failed one does: it would fail again."""
    if prompt.websocket_outputs:
        return False  # its images are gone
    try:
        outcome_of_history(prompt, entry)
    except Interrupted:
        return False  # it was cancelled, or its time was up; a repeated request wants it to run
    except BridgeError:
        return True
    return True
