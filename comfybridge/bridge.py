"""The use case: from a request to what it asked for, in one blocking call.

    from comfybridge import Bridge

    with Bridge() as bridge:
        generation = bridge.generate("a lighthouse", workflow="txt2img", steps=20)
        generation.images[0].save("lighthouse.png")

`generate` is `admit`, `submit`, `wait` and `collect` in a row; use them where something must happen in between:

    admitted = bridge.admit(request)
    with bridge.submit(admitted) as submission:
        outcome = bridge.wait(submission)
        generation = bridge.collect(submission, outcome)
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any

from comfybridge.comfyui.catalog import NodeClass
from comfybridge.comfyui.dynamic_inputs import ANY
from comfybridge.comfyui.outcome import ImagesLost, Outcome, Prompt
from comfybridge.comfyui.servers import Server, Servers
from comfybridge.comfyui.waiting.waiter import OnEvent
from comfybridge.deadline import Deadline
from comfybridge.errors import (
    BridgeError,
    BrokenWorkflow,
    ComfyUIUnreachable,
    Interrupted,
    InvalidRequest,
    PromptLost,
    ShuttingDown,
    TimedOut,
    TooLarge,
)
from comfybridge.json_size import has_more_bytes
from comfybridge.policy.policies import Turn, load_policies
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.expectations import learn
from comfybridge.prompts.following import Follower, OnProgress
from comfybridge.prompts.giving_up import HUNG_UP, Abandoned, settle_overdue, try_to_drop
from comfybridge.prompts.known import Prompts
from comfybridge.prompts.no_output import nothing_to_show
from comfybridge.prompts.outputs import collect_outputs, places_of
from comfybridge.prompts.processes import Machine
from comfybridge.prompts.queueing import Queueing
from comfybridge.prompts.repeats import Repeats, fingerprint_of
from comfybridge.prompts.slots import Slots
from comfybridge.prompts.submission import Place, Submission
from comfybridge.request import Generation, GenerationRequest, Timings
from comfybridge.settings import Settings, load_settings
from comfybridge.shorthand import Asked, request_for
from comfybridge.workflow.folders import PREFIX_INPUT
from comfybridge.workflow.graph import is_link
from comfybridge.workflow.library import Library
from comfybridge.workflow.offer import Offer, offer_of
from comfybridge.workflow.sizes import expected_size
from comfybridge.workflow.template import Template

log = logging.getLogger(__name__)

OnQueued = Callable[[Submission], None]

TAKEN_OUT = "The prompt was cancelled while it waited in the queue."
# How often it is tried whether a ComfyUI that was lost is back, where prompts are to be queued again.
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 2.0

LAST_CANCEL_SECONDS = 3.0  # for cancelling a prompt while the process is being stopped


STOPPED = "The bridge is shutting down"
NOTHING_QUEUED = f"{STOPPED}; nothing was queued."


class Bridge:
    """A synchronous bridge to ComfyUI. Safe to share between threads.

    Args:
        settings: where ComfyUI is and how to treat it; from the environment and `.env` if not given.

    Raises:
        SettingsError: a setting has a value that can't be used.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()
        self.library = Library(self.settings.workflows_dir)
        self.servers = Servers(
            [
                Server(
                    address,
                    connect_timeout=self.settings.connect_timeout,
                    read_timeout=self.settings.read_timeout,
                    pool_size=self.settings.max_concurrent,
                )
                for address in self.settings.addresses
            ],
            self.settings.max_queue,
        )
        machine = Machine()
        self.prompts = Prompts(self.servers, machine, self._tell_taken_out)
        self.slots = Slots(self.settings.max_concurrent)
        self._repeats = Repeats(self.servers, machine, self.settings.wait)
        self.policies = load_policies(self.settings)
        self._queueing = Queueing(self.settings, self.library, self._repeats)
        # those that are waited for
        self._submissions: weakref.WeakValueDictionary[Admitted, Submission] = weakref.WeakValueDictionary()
        self._queueing_until: set[Deadline] = set()  # of the requests that are being queued
        self._is_shut_down = False

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self.servers.close()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the way of one request ----------------------------------------------------------------------------------

    def generate(
        self,
        request: Asked = None,
        on_event: OnEvent | None = None,
        *,
        on_progress: OnProgress | None = None,
        owner: str | None = None,
        **values: Any,
    ) -> Generation:
        """Queue a workflow, block until it has run, and give what it made.

        Args:
            request: a text, a whole graph, or a `GenerationRequest`.
            on_event: called in this thread with each of the prompt's events (`comfybridge.comfyui.events`),
                where the way of waiting brings any. ComfyUI is then asked for previews too.
            on_progress: called in this thread with each step, where the way of waiting brings any.
            owner: as `admit` takes it.
            values: by name, what a `GenerationRequest` has (`workflow`, `timeout`, `images`) and any parameter
                of the workflow (`steps`, `width`).

        Raises:
            BridgeError: what went wrong, as `comfybridge.errors` draws it.
        """
        admitted = self.admit(request_for(request, values), owner, is_followed=on_event is not None)
        if on_progress is None:
            with self.generating(admitted, on_event) as generation:
                return generation
        submission = self.submit(admitted)
        follower = Follower(submission, on_progress, on_event)
        with self.finishing(submission, follower.hear, follower.follow) as generation:
            follower.end()
            return generation

    @contextlib.contextmanager
    def generating(self, admitted: Admitted, on_event: OnEvent | None = None) -> Iterator[Generation]:
        """`submit`, `wait` and `collect` in a row, for use in a `with`: the request keeps its slot until its outputs
        have been read there.
        """
        with self.finishing(self.submit(admitted), on_event) as generation:
            yield generation

    @contextlib.contextmanager
    def finishing(
        self, submission: Submission, on_event: OnEvent | None = None, on_queued_again: OnQueued = lambda _: None
    ) -> Iterator[Generation]:
        """`wait` and `collect` in a row, for use in a `with`, which closes the submission.

        A prompt that ComfyUI lost, or that was lost with it, is submitted again as often as its request allows. One
        of which only the images were lost with a websocket is so once in any case: ComfyUI has the rest in its cache.
        So is one for which ComfyUI named files out of its cache that are gone, or saved files under a linked prefix
        that it serves no files of: the nodes that made them run again.

        Args:
            on_queued_again: called in this thread with each submission that takes the place of the one before.
        """
        submission, outcome = self._wait_out(submission, on_event, on_queued_again)
        submission, outcome = self._past_cache(submission, outcome, on_event, on_queued_again)
        with submission:
            try:
                yield self.collect(submission, outcome)
            except BridgeError as error:  # of a file that could not be fetched
                raise _about(error, submission.prompt) from None

    def _wait_out(
        self, submission: Submission, on_event: OnEvent | None, on_queued_again: OnQueued
    ) -> tuple[Submission, Outcome]:
        """The outcome, and the submission that came to it."""
        retries_left = submission.request.retries
        repeats_left = 1
        while True:
            try:
                return submission, self.wait(submission, on_event)
            except (PromptLost, ComfyUIUnreachable) as error:
                if isinstance(error, ImagesLost) and repeats_left and not submission.deadline.passed:
                    repeats_left -= 1
                elif retries_left:
                    retries_left -= 1
                else:
                    submission.close()
                    raise
                failure = error
            except BaseException:
                submission.close()
                raise
            log.warning("Prompt %s is queued again: %s", submission.prompt.id, failure.message)
            lost, submission = submission, self._again(submission, failure)
            if submission.queued_at != lost.queued_at:  # else it was only out of reach
                _tell(on_queued_again, submission)

    def _past_cache(
        self, submission: Submission, outcome: Outcome, on_event: OnEvent | None, on_queued_again: OnQueued
    ) -> tuple[Submission, Outcome]:
        """The outcome, or that of another run where ComfyUI does not hand out what this one has come to: files from
        an earlier run that have been deleted since, and files with names that it does not serve.
        """
        try:
            gone = self._gone(submission, outcome)
            misnamed = _misnamed(submission, outcome)
            if not gone and not misnamed:
                return submission, outcome
            why = "some of its cached files are gone" if gone else "ComfyUI does not serve files with such names"
            log.warning("Prompt %s is run once more: %s.", submission.prompt.id, why)
            with self._cut_at_shutdown(submission.admitted):
                again = self._known(self._queueing.submit_past_cache(submission, gone, misnamed))
        except BridgeError as error:
            submission.close()
            raise _about(error, submission.prompt) from None
        except BaseException:
            submission.close()
            raise
        _tell(on_queued_again, again)
        return self._wait_out(again, on_event, on_queued_again)

    def _gone(self, submission: Submission, outcome: Outcome) -> set[str]:
        """The nodes whose wanted files are from an earlier run, and not there any more."""
        nodes = {each.node_id for each in outcome.outputs if submission.is_repeat or each.node_id in outcome.cached}
        if not nodes:
            return set()
        client, options = submission.server.client, submission.request.output
        outputs = collect_outputs(outcome, client, submission.deadline, options).outputs
        return {each.node_id for each in outputs if each.node_id in nodes and each.is_remote and not each.is_there()}

    def _again(self, lost: Submission, failure: BridgeError) -> Submission:
        """A submission in the place of one that was lost, once ComfyUI is back."""
        admitted, deadline, place = lost.admitted, lost.deadline, lost._place
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    found = None if isinstance(failure, PromptLost) else self._found_again(lost)
                    return found or self._submit(admitted, place, Turn(None))
                except ComfyUIUnreachable as error:
                    if error.prompt_id is not None or deadline.remaining() <= pause:
                        raise _about(error, lost.prompt) from None
                place.leave_server()
                time.sleep(pause)
                self._check_goes_on()
                if admitted.trace.is_abandoned:
                    raise Abandoned(HUNG_UP, prompt_id=lost.prompt.id)
                pause = min(2 * pause, LONGEST_PAUSE)
        except BaseException:
            place.leave()
            raise

    def _found_again(self, lost: Submission) -> Submission | None:
        """The submission of a prompt that was out of reach for a while, if ComfyUI still has it.

        Raises:
            ComfyUIUnreachable: it is still out of reach, and there is no other server.
        """
        server = lost.server
        try:
            server.lookup.history_entry(lost.prompt, time.monotonic(), lost.deadline)
        except PromptLost:
            return None
        except ComfyUIUnreachable as error:
            if len(self.servers.all) == 1:
                error.prompt_id = None  # that prompt is lost, as far as can be told
                raise
            self.servers.mark_down(server)
            return None
        if lost.prompt.websocket_outputs:
            return None
        server.begin()
        lost._place.move(server)
        return self._known(
            dataclasses.replace(lost, listener=server.waiters["poll"].listen(lost.prompt, lost.deadline))
        )

    def admit(
        self,
        request: GenerationRequest,
        owner: str | None = None,
        *,
        started: float | None = None,
        fingerprint: str | None = None,
        is_followed: bool = False,
    ) -> Admitted:
        """Let a request in: find out who asks for it, by when, and whether it may. Nothing is queued yet.

        Args:
            owner: the name of the API key for which it is asked; None for a caller without one, whose rights are
                those of the policy `default`, and of no bounds where there is none.
            started: when it came in, on `time.monotonic()`'s clock; now if None.
            fingerprint: what tells it from other requests with its idempotency key; made of its fields if None.
            is_followed: whether somebody will follow its events.

        Raises:
            InvalidRequest: its timeout is out of range.
            TooLarge: its graph has more bytes than the settings allow.
            Forbidden: its owner may not ask for it, as far as that shows before there is a graph.
            UnknownWorkflow, BrokenWorkflow: where its owner has only the parameters of its template.
        """
        seconds = self.settings.timeout if request.timeout is None else request.timeout
        most = self.settings.max_timeout
        if not 0 < seconds <= most:
            raise InvalidRequest(f"timeout is {seconds:g}; it must be more than 0 and at most {most:g} seconds.")
        self._check_size(request)
        rights = self.policies.of(owner)
        if rights is not None:
            workflow = request.template_name(self.settings.default_workflow)
            rights.check_request(request, workflow, lambda name: self.library.get(name).parameters)
        deadline = Deadline(seconds, started)
        return Admitted(request, owner, rights, deadline, fingerprint or fingerprint_of(request), is_followed)

    def submit(self, admitted: Admitted) -> Submission:
        """Make the graph of a request and queue it. The submission must be closed, or used in a `with`.

        Raises:
            InvalidRequest, InvalidWorkflow, UnknownWorkflow: the request can't work.
            BrokenWorkflow, ModelMissing: its template can't.
            Forbidden, RateLimited: its owner may not ask for it, or not so often.
            Busy: every slot is taken.
            ShuttingDown: the bridge is being stopped.
            ComfyUIUnreachable, ComfyUIError: ComfyUI does not answer, or answers nonsense.
            TimedOut: the deadline passed meanwhile.
        """
        if not isinstance(admitted, Admitted):
            raise TypeError("Bridge.submit takes what Bridge.admit returns: bridge.submit(bridge.admit(request)).")
        self._check_goes_on()
        place, turn = Place(self.slots), Turn(admitted.rights)
        try:
            return self._submit(admitted, place, turn)
        except BaseException as error:
            place.leave()
            if _was_not_queued(error):
                turn.give_back()
            raise

    def wait(self, submission: Submission, on_event: OnEvent | None = None) -> Outcome:
        """Block until the prompt has ended. On a timeout it is cancelled, or kept if so asked.

        Raises:
            ExecutionFailed, Interrupted, PromptLost, TimedOut, ComfyUIUnreachable, ComfyUIError, ShuttingDown
        """
        try:
            outcome = submission.listener.wait(submission.prompt, submission.deadline, on_event)
            submission.ran(outcome.executing)
            if outcome.spent:
                learn(submission.server.node_times, submission.prompt.graph, outcome.spent, outcome.executing)
            return outcome
        except TimedOut:
            if submission.deadline.is_cut:
                raise self._cut_off(submission) from None
            raise self._overdue(submission) from None
        except Abandoned:
            request = submission.request
            submission.close()  # the slot is for others; telling a ComfyUI that is asleep takes long
            if not request.outlasts_its_time:
                try_to_drop(submission.server.canceller, submission.prompt.id)
            raise
        except ShuttingDown:
            raise self._cut_off(submission) from None
        except PromptLost as error:
            if self.prompts.was_taken_out(submission.prompt.id):
                raise Interrupted(TAKEN_OUT, prompt_id=submission.prompt.id) from None
            raise _about(error, submission.prompt) from None
        except BridgeError as error:
            raise _about(error, submission.prompt) from None
        finally:
            self._submissions.pop(submission.admitted, None)
            submission.ran(None)

    def collect(self, submission: Submission, outcome: Outcome) -> Generation:
        """Make the generation of an outcome. No file is fetched yet: its outputs do that when they are read.

        Raises:
            NoOutput: the prompt finished with nothing to show.
            InvalidRequest: what it has to show is of other nodes than those that were asked for.
        """
        client, options = submission.server.client, submission.request.output
        collected = collect_outputs(outcome, client, submission.deadline, options)
        if not collected.outputs:
            raise nothing_to_show(outcome, client, submission.deadline, options, submission.prompt.id)
        now = time.monotonic()
        queued = None if outcome.executing is None else now - submission.queued_at - outcome.executing
        timings = Timings(
            queued=None if queued is None else max(0.0, queued),
            executing=outcome.executing,
            total=now - submission.deadline.started,
        )
        trace = submission.admitted.trace
        trace.timings, trace.ran_at = timings, now
        return Generation(
            prompt_id=submission.prompt.id,
            outputs=collected.outputs,
            seed=submission.filled.seed,
            params=submission.filled.params,
            warnings=[*submission.warnings, *outcome.warnings, *collected.warnings],
            timings=timings,
            started=submission.deadline.started,
            deadline=submission.deadline,
            size=expected_size(submission.filled.graph, submission.filled.params, options.max_size),
        )

    def position(self, submission: Submission) -> int:
        """A prompt's place among those that wait on ComfyUI, from 1; 0 if it runs or has finished.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut
        """
        queue = submission.server.lookup.recent_queue(submission.queued_at, submission.deadline)
        pending = queue.pending
        return pending.index(submission.prompt.id) + 1 if submission.prompt.id in pending else 0

    def abandon(self, admitted: Admitted) -> None:
        """Give up a request that another thread blocks on, for nobody waits for it any more.

        Its prompt is cancelled, unless it would be kept on a timeout too, or somebody may ask for it again by its
        idempotency key; then it is only not waited for. A request that is not queued yet is not given up: ask again.
        """
        admitted.trace.is_abandoned = True  # for one that waits for a server to be back
        submission = self._submissions.get(admitted)
        if submission is not None:
            submission.listener.stop(Abandoned(HUNG_UP, prompt_id=submission.prompt.id))

    def prompts_waited_for(self) -> list[str]:
        """The ids of the prompts that requests wait for."""
        return sorted({each.prompt.id for each in self._submissions.values()})

    def shut_down(self) -> tuple[list[str], list[str], int]:
        """Give up all requests that wait, for the process ends; those to come are refused.

        Their prompts are cancelled, but for those that would be kept on a timeout too.

        Returns:
            The ids of the prompts that are cancelled, and of those that are kept; and how many requests are given
            up that have no prompt yet.
        """
        self._is_shut_down = True
        unqueued = list(self._queueing_until)
        for deadline in unqueued:
            deadline.cut()
        cancelled: set[str] = set()
        kept: set[str] = set()
        for submission in list(self._submissions.values()):
            (kept if submission.request.outlasts_its_time else cancelled).add(submission.prompt.id)
            submission.listener.stop(ShuttingDown(STOPPED, prompt_id=submission.prompt.id))
        return sorted(cancelled - kept), sorted(kept), len(unqueued)

    # -- what else is asked of it --------------------------------------------------------------------------------

    def offer(self, template: Template, deadline: Deadline) -> Offer:
        """What a server takes for each of a template's parameters, where it says so.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut
        """

        def facts(class_type: str) -> NodeClass | None:
            return self.servers.first(partial(_node_class, class_type), deadline)

        return offer_of(template.learned(facts), facts, ANY)

    def has_free_slot(self) -> bool:
        """Whether one more request could begin right now."""
        return self.slots.has_free

    # -- its parts -----------------------------------------------------------------------------------------------

    def _check_size(self, request: GenerationRequest) -> None:
        """Refuse a graph that would burden ComfyUI's queue, which it sends whole to everybody who asks for it."""
        most = self.settings.max_graph_bytes
        if has_more_bytes(most, request.graph, request.params, request.extra_data):
            raise TooLarge(
                f"The graph has more than {most} bytes, the most that COMFYBRIDGE_MAX_GRAPH_BYTES allows; send "
                "files in images."
            )

    def _submit(self, admitted: Admitted, place: Place, turn: Turn) -> Submission:
        """Queue a request on one of the servers, unless it is a repeat of one that was queued.

        Args:
            turn: is taken if it is queued.
        """
        with self._cut_at_shutdown(admitted):
            return self._submit_somewhere(admitted, place, turn)

    @contextlib.contextmanager
    def _cut_at_shutdown(self, admitted: Admitted) -> Iterator[None]:
        """Cut the deadline if the bridge is shut down meanwhile; for a request that has no prompt to be waited for.

        Raises:
            ShuttingDown: the bridge was shut down.
        """
        deadline = admitted.deadline
        self._queueing_until.add(deadline)
        try:
            self._check_goes_on()
            yield
        except (TimedOut, ComfyUIUnreachable) as error:
            if not deadline.is_cut:
                raise
            if error.prompt_id is None:
                raise ShuttingDown(NOTHING_QUEUED, retry_after=5) from None
            fate = "is kept" if admitted.asked.outlasts_its_time else "is cancelled"
            sentence = f"{STOPPED}; the prompt was just being queued, and {fate} if it was."
            raise ShuttingDown(sentence, prompt_id=error.prompt_id, retry_after=5) from None
        finally:
            self._queueing_until.discard(deadline)

    def _submit_somewhere(self, admitted: Admitted, place: Place, turn: Turn) -> Submission:
        if admitted.asked.idempotency_key is not None:
            earlier = self._repeats.attach(admitted, place, is_alone=False)
            if earlier is not None:
                return self._known(earlier)
        template = self._queueing.template_of(admitted.asked)
        tried: set[Server] = set()
        while True:
            server = self.servers.begin(tried)
            place.move(server)
            admitted.trace.server = server.url
            try:
                return self._known(self._queueing.submit(server, admitted, template, place, turn))
            except ComfyUIUnreachable as error:
                if error.prompt_id is not None or len(tried) + 1 == len(self.servers.all):
                    raise  # it may be queued there, or there is no other
                self.servers.mark_down(server)
                tried.add(server)

    def _known(self, submission: Submission) -> Submission:
        """The submission, which can be stopped from other threads."""
        self._submissions[submission.admitted] = submission
        trace = submission.admitted.trace
        trace.workflow = submission.request.workflow_name(self.settings.default_workflow)
        trace.server, trace.prompt_id = submission.server.url, submission.prompt.id
        trace.params = submission.filled.params
        if self._is_shut_down:
            submission.listener.stop(ShuttingDown(STOPPED))
        return submission

    def _of_prompt(self, prompt_id: str) -> list[Submission]:
        """Those that wait for a prompt: more than one where requests were repeated."""
        known = [reference() for reference in self._submissions.valuerefs()]
        return [each for each in known if each is not None and each.prompt.id == prompt_id]

    def _tell_taken_out(self, prompt_id: str) -> None:
        for submission in self._of_prompt(prompt_id):
            submission.listener.stop(Interrupted(TAKEN_OUT, prompt_id=prompt_id))

    def _check_goes_on(self) -> None:
        if self._is_shut_down:
            raise ShuttingDown(NOTHING_QUEUED, retry_after=5)

    def _cut_off(self, submission: Submission) -> ShuttingDown:
        """Cancel the prompt of a request that is cut off, unless it is to be kept; returns the error on that."""
        prompt_id = submission.prompt.id
        if submission.request.outlasts_its_time:
            fate = "is kept, and its results can be fetched later"
        elif try_to_drop(submission.server.canceller, prompt_id, LAST_CANCEL_SECONDS):
            fate = "was cancelled"
        else:
            fate = "could not be cancelled"
        return ShuttingDown(f"{STOPPED}; the prompt {fate}.", prompt_id=prompt_id, retry_after=5)

    def _overdue(self, submission: Submission) -> TimedOut:
        canceller, seconds = submission.server.canceller, submission.deadline.seconds
        return settle_overdue(canceller, submission.prompt.id, seconds, keep=submission.request.outlasts_its_time)


def _node_class(class_type: str, server: Server, deadline: Deadline) -> NodeClass | None:
    return server.catalog.node_class(class_type, deadline)


def _misnamed(submission: Submission, outcome: Outcome) -> dict[str, tuple[str, str]]:
    """The folder and the name of a file for each node that saved under a name that ComfyUI does not serve, which a
    link brought.
    """
    wanted, graph = submission.request.output.nodes, submission.filled.graph
    return {
        each.node_id: (place.subfolder, place.filename)
        for each in outcome.outputs
        if (wanted is None or each.node_id in wanted) and each.node_id in graph
        if is_link(graph[each.node_id]["inputs"].get(PREFIX_INPUT))
        for place in places_of(each)
        if place.has_refused_name
    }


def _tell(on_queued_again: OnQueued, submission: Submission) -> None:
    try:
        on_queued_again(submission)
    except BaseException:
        submission.close()
        raise


def _was_not_queued(error: BaseException) -> bool:
    """Whether a request surely was not queued: it or its template was wrong, or no ComfyUI was there."""
    if isinstance(error, ComfyUIUnreachable):
        return error.prompt_id is None
    if isinstance(error, BrokenWorkflow):
        return True
    return isinstance(error, BridgeError) and error.status < 500


def _about(error: BridgeError, prompt: Prompt) -> BridgeError:
    """The error, with the prompt's id if it has none."""
    error.prompt_id = error.prompt_id or prompt.id
    return error
