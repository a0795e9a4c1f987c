"""From a request to a prompt in a server's queue."""

from __future__ import annotations

import dataclasses
import logging
import time
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from comfybridge.comfyui import previews
from comfybridge.comfyui.calls import ComfyUINotReached
from comfybridge.comfyui.extra_data import with_workflow
from comfybridge.comfyui.outcome import Prompt
from comfybridge.comfyui.reasons import clean_node_errors, node_sentences
from comfybridge.comfyui.servers import Server
from comfybridge.comfyui.versions import IdNotTaken
from comfybridge.comfyui.waiting.waiter import Listener, Waiter
from comfybridge.deadline import Deadline
from comfybridge.errors import (
    BridgeError,
    ComfyUIError,
    ComfyUIUnreachable,
    Interrupted,
    InvalidRequest,
    InvalidWorkflow,
    TimedOut,
)
from comfybridge.files.fetch import Fetcher
from comfybridge.files.inputs import Uploader
from comfybridge.policy.rights import Turn
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.conversions import Conversions
from comfybridge.prompts.fitting import check_fits, choices_for_people
from comfybridge.prompts.giving_up import HUNG_UP, Abandoned, give_up
from comfybridge.prompts.preparation import Prepared, prepare, workflow_of
from comfybridge.prompts.record import Record
from comfybridge.prompts.refusals import as_of_caller, as_of_template
from comfybridge.prompts.repeats import Repeats, prompt_id_of
from comfybridge.prompts.submission import Place, Submission
from comfybridge.request import GenerationRequest
from comfybridge.settings import Settings
from comfybridge.workflow.filling import Filled
from comfybridge.workflow.folders import PREFIX_INPUT, UNNAMED, save_into_folder
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.library import Library
from comfybridge.workflow.past_cache import past_cache
from comfybridge.workflow.prefixes import leads_up, make_prefixes_plain, outside_folders, with_plain_prefixes
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted
from comfybridge.workflow.wording import clip

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 5.0  # for finding out whether a prompt whose acceptance was lost is queued
NOT_QUEUED = "The request was cancelled before its prompt was queued."


class Queueing:
    """Makes the graphs of requests, brings their files to a server, and queues them there. Safe to share between
    threads.
    """

    def __init__(self, settings: Settings, library: Library, conversions: Conversions, repeats: Repeats) -> None:
        self._settings = settings
        self._library = library
        self._conversions = conversions
        self._repeats = repeats
        fetcher = Fetcher(seconds=settings.fetch_timeout, allowed_hosts=settings.fetch_allow_hosts)
        self._uploader = Uploader(fetcher, settings.max_upload_bytes)

    def workflow_of(self, admitted: Admitted) -> Template | Unconverted:
        """What a request's graph is made of; raises what `preparation.workflow_of` raises."""
        if admitted.workflow is not None:
            return admitted.workflow
        return workflow_of(admitted.asked, self._library, self._settings.default_workflow)

    def submit(
        self, server: Server, admitted: Admitted, workflow: Template | Unconverted, place: Place, turn: Turn
    ) -> Submission:
        """Queue a request on a server.

        Args:
            workflow: what `workflow_of` gives.
            turn: is taken when the request is known to be fit to be queued.

        Raises:
            InvalidRequest, InvalidWorkflow: the request can't work.
            BrokenWorkflow, ModelMissing: its template can't.
            Forbidden, RateLimited: the graph holds more than its owner may ask for, or it asks too often.
            IdempotencyConflict: its key belongs to another one.
            ComfyUIUnreachable: ComfyUI does not answer. The error has a prompt id if the prompt may be queued there.
            ComfyUIError: ComfyUI answers nonsense.
            TimedOut: the deadline passed meanwhile.
            Abandoned: the caller has left meanwhile.
        """
        rights, deadline = admitted.rights, admitted.deadline
        waiter, prepared = self._prepared(server, admitted, workflow)
        filled = prepared.filled
        turn.take()
        check_file, check_unseen = (None, None) if rights is None else (rights.check_file, rights.check_unseen)
        self._uploader.feed(
            prepared.placed, filled, server.client, deadline, check_file, check_unseen, admitted.brought
        )
        prompt = Prompt(prompt_id_of(admitted), filled.graph)
        if self._settings.request_folders:
            save_into_folder(filled.graph, time.strftime("%Y-%m-%d"), prompt.id)
        if not admitted.may_be_queued:
            return self._listen_and_queue(waiter, server, prompt, admitted, prepared, place)
        with self._repeats.alone(admitted):
            earlier = self._repeats.attach(admitted, place, is_alone=True)
            if earlier is not None:
                turn.give_back()
                return earlier
            return self._listen_and_queue(waiter, server, prompt, admitted, prepared, place)

    def check(self, server: Server, admitted: Admitted, workflow: Template | Unconverted) -> Graph:
        """Refuse what `submit` would refuse, as far as that shows before anything is fetched or queued.

        Returns:
            The graph as it would be queued, but for its input files.

        Raises:
            BridgeError: as `submit`.
        """
        _, prepared = self._prepared(server, admitted, workflow)
        rights, graph = admitted.rights, prepared.filled.graph
        self._uploader.check(prepared.placed, graph, None if rights is None else rights.check_file)
        check_fits(prepared, server.catalog, admitted.asked.partial_execution_targets, admitted.deadline)
        return graph

    def _prepared(
        self, server: Server, admitted: Admitted, workflow: Template | Unconverted
    ) -> tuple[Waiter, Prepared]:
        """How a request's prompt is waited for, and its graph, which is fit for the server and for its owner."""
        request, rights, deadline = admitted.asked, admitted.rights, admitted.deadline
        waiter = self._waiter(server, request)
        prepared = prepare(
            request,
            self._conversions.on(workflow, server, deadline),
            server.catalog,
            deadline,
            dynamic_texts=self._settings.dynamic_texts,
            is_confined=rights is not None and rights.is_confined,
        )
        filled = prepared.filled
        admitted.trace.workflow = request.workflow_name(self._settings.default_workflow)
        _check_images_arrive(waiter, filled)
        make_prefixes_plain(filled.graph)
        if rights is not None:
            rights.check_graph(filled.graph, filled.params, request.n, is_trusted=not _has_own_links(request))
        _check_prefixes(server, filled.graph, request.partial_execution_targets, deadline)
        return waiter, prepared

    def submit_past_cache(
        self, earlier: Submission, nodes: Collection[str], misnamed: Mapping[str, tuple[str, str]]
    ) -> Submission:
        """Queue the graph of a prompt that has run once more, on the same server, in the same slot.

        Args:
            nodes: those that ComfyUI must not take from its cache; of the others it will.
            misnamed: of nodes that are to save under another name, the folder and the name of a file of theirs.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: as `submit`.
        """
        server, admitted, request, deadline = earlier.server, earlier.admitted, earlier.request, earlier.deadline

        def writes_files(class_type: str) -> bool:
            node_class = server.catalog.node_class(class_type, deadline)
            return node_class is not None and node_class.is_output

        prompt_id = prompt_id_of(admitted)
        graph = with_plain_prefixes(earlier.filled.graph, misnamed)
        graph = past_cache(graph, {*nodes, *misnamed}, uuid.uuid4().hex, writes_files)
        template = dataclasses.replace(Template.of_graph(graph), file=self.workflow_of(admitted).file)
        prepared = Prepared(dataclasses.replace(earlier.filled, graph=graph), [], template)
        waiter, prompt, place = self._waiter(server, request), Prompt(prompt_id, graph), earlier.place
        server.begin()
        place.move(server)
        if not admitted.may_be_queued:
            return self._listen_and_queue(waiter, server, prompt, admitted, prepared, place)
        with self._repeats.alone(admitted):
            server.client.forget(prompt_id, deadline)  # or that one would be taken for what becomes of this one
            return self._listen_and_queue(waiter, server, prompt, admitted, prepared, place)

    def _waiter(self, server: Server, request: GenerationRequest) -> Waiter:
        name = request.wait or self._settings.wait
        waiter = server.waiters.get(name)
        if waiter is None:
            raise InvalidRequest(f"wait is {name!r}; it must be one of {', '.join(server.waiters)}.", field="wait")
        return waiter

    def _listen_and_queue(
        self,
        waiter: Waiter,
        server: Server,
        prompt: Prompt,
        admitted: Admitted,
        prepared: Prepared,
        place: Place,
    ) -> Submission:
        listener = waiter.listen(prompt, admitted.deadline)
        try:
            return self._queue(server, prompt, admitted, prepared, listener, place)
        except BaseException:
            listener.close()
            raise

    def _queue(
        self,
        server: Server,
        prompt: Prompt,
        admitted: Admitted,
        prepared: Prepared,
        listener: Listener,
        place: Place,
    ) -> Submission:
        request, deadline = admitted.asked, admitted.deadline
        if deadline.passed:
            raise TimedOut("The time was up before the prompt could be queued.")
        if not request.outlasts_its_time and admitted.trace.has_left():
            raise Abandoned(HUNG_UP)
        if admitted.trace.is_cancelled:
            raise Interrupted(NOT_QUEUED)
        filled = prepared.filled
        warnings = [*request.warnings, *filled.warnings, *listener.warnings]
        given = with_workflow(request.extra_data, prepared.template.file)
        extra_data = _record(admitted, filled, warnings).to_extra_data(given)
        if previews.KEY not in extra_data:
            is_seen = (admitted.is_followed or admitted.has_previews) and listener.receives_images
            extra_data[previews.KEY] = server.previews.method(deadline) if is_seen else previews.NO_PREVIEWS
        options = _options(request, extra_data)
        admitted.trace.sent_as, admitted.trace.graph = prompt.id, prompt.graph
        try:
            left_out = server.client.queue_prompt(
                prompt, listener.client_id, options, deadline, choices_for_people(server.catalog, deadline)
            )
        except InvalidWorkflow as refused:
            if refused.lacks is not None:
                server.catalog.note_lacking(refused.lacks)
            if prepared.template.is_of_caller or request.partial_execution_targets is not None:
                raise as_of_caller(refused, filled) from None
            raise as_of_template(refused, prepared.template, filled, prepared.brought) from None
        except TimedOut:  # it may have been queued all the same
            keep = request.outlasts_its_time
            raise give_up(server.canceller, prompt.id, deadline.seconds, keep=keep) from None
        except (ComfyUINotReached, IdNotTaken):
            raise  # nothing is queued there
        except (ComfyUIUnreachable, ComfyUIError) as error:
            if not _was_queued(server, prompt, deadline):
                error.prompt_id = error.prompt_id or prompt.id
                raise
            log.warning("ComfyUI queued prompt %s, and its answer was lost: %s", prompt.id, error.message)
            left_out = {}
        return Submission(
            prompt=prompt,
            admitted=admitted,
            server=server,
            filled=filled,
            warnings=[*warnings, *_sentences_on(left_out)],
            queued_at=time.monotonic(),
            listener=listener,
            place=place,
        )


def _was_queued(server: Server, prompt: Prompt, deadline: Deadline) -> bool:
    """Whether the prompt was queued although the reply was lost.

    Raises:
        ComfyUINotReached: it is gone, and the prompt with it: another server may have it.
    """
    try:
        patience = Deadline(min(LOOKUP_SECONDS, deadline.remaining()))
        server.lookup.history_entry(prompt, time.monotonic(), patience)
    except ComfyUINotReached:
        raise
    except BridgeError:
        return False
    return True


def _has_own_links(request: GenerationRequest) -> bool:
    """Whether the caller may have linked nodes to each other: in a graph of its own, or by `"NODE.INPUT"`."""
    return request.graph is not None or any("." in name for name in request.params)


def _check_images_arrive(waiter: Waiter, filled: Filled) -> None:
    nodes = Prompt("", filled.graph).websocket_outputs
    if nodes and not waiter.receives_images:
        raise InvalidRequest(
            f"wait is {waiter.name!r}, but the images of node {nodes[0]} (SaveImageWebsocket) come over the "
            "websocket only; use wait 'hub', or a SaveImage node.",
            field="wait",
        )


def _check_prefixes(server: Server, graph: Graph, targets: Collection[str] | None, deadline: Deadline) -> None:
    """Refuse a prefix under which ComfyUI would save nothing, which it finds out only when the graph has run.

    Args:
        targets: the nodes that are to run; None: all.
    """
    for node_id, folder in outside_folders(graph).items():
        if targets is not None and node_id not in targets:
            continue
        if leads_up(folder) or server.client.look(UNNAMED, folder, "output", deadline) == "refused":
            node = graph[node_id]
            raise InvalidRequest(
                f"Node {clip(node_id)} ({clip(node['class_type'])}): its {PREFIX_INPUT} leads out of ComfyUI's "
                "output folder; files can be saved below that only."
            )


def _record(admitted: Admitted, filled: Filled, warnings: list[str]) -> Record:
    request = admitted.asked
    return Record(
        seed=filled.seed,
        params=filled.params,
        output=request.output,
        warnings=warnings,
        queued_at=time.time(),
        with_image=request.wants_first_image,
        owner=admitted.owner,
        fingerprint=admitted.fingerprint,
    )


def _options(request: GenerationRequest, extra_data: dict[str, Any]) -> dict[str, Any]:
    options = {
        "extra_data": extra_data,
        "front": request.front,
        "number": request.number,
        "partial_execution_targets": request.partial_execution_targets,
    }
    return {name: value for name, value in options.items() if value is not None}


def _sentences_on(left_out: Mapping[str, Any]) -> list[str]:
    """Warnings on the output nodes that ComfyUI leaves out of a graph that it accepted in part."""
    sentences = node_sentences(clean_node_errors(left_out))
    return [f"ComfyUI ran the graph only in part: {sentence}." for sentence in sentences]
