"""The use case: from a request to its outputs, in one blocking call.

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
import logging
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.outcome import Outcome
from comfybridge.comfyui.servers import Server, Servers
from comfybridge.comfyui.waiting.waiter import OnEvent
from comfybridge.deadline import Deadline
from comfybridge.errors import (
    BridgeError,
    BrokenWorkflow,
    ComfyUIUnreachable,
    ExecutionFailed,
    Interrupted,
    InvalidRequest,
    PromptLost,
    ShuttingDown,
    TimedOut,
    TooLarge,
)
from comfybridge.json_size import has_more_bytes
from comfybridge.policy.policies import load_policies
from comfybridge.policy.rights import Turn
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.board import Board
from comfybridge.prompts.caller_progress import CallerProgress
from comfybridge.prompts.checking import Checked, Checker
from comfybridge.prompts.conversions import Conversions
from comfybridge.prompts.dispatching import Dispatcher
from comfybridge.prompts.expectations import learn
from comfybridge.prompts.file_links import FileLinks
from comfybridge.prompts.following import Follower, OnProgress
from comfybridge.prompts.giving_up import Abandoned, give_up, try_to_drop
from comfybridge.prompts.inventory import Inventory, inventory
from comfybridge.prompts.known import Prompts
from comfybridge.prompts.no_output import nothing_to_show
from comfybridge.prompts.offering import Offering
from comfybridge.prompts.outputs import collect_outputs
from comfybridge.prompts.processes import Machine
from comfybridge.prompts.queueing import Queueing
from comfybridge.prompts.repeats import Repeats, fingerprint_of
from comfybridge.prompts.running_again import RunningAgain
from comfybridge.prompts.several import MOST, Several
from comfybridge.prompts.slots import Slots
from comfybridge.prompts.submission import OnQueued, Place, Submission
from comfybridge.prompts.task_templates import TaskTemplates
from comfybridge.prompts.telling import Teller
from comfybridge.prompts.templates import Templates
from comfybridge.prompts.under_way import TAKEN_OUT, UnderWay, cut_off
from comfybridge.request import Generation, GenerationRequest, Timings
from comfybridge.settings import Settings, load_settings
from comfybridge.shorthand import Asked, request_for
from comfybridge.state import StateFolder
from comfybridge.tasks import Task
from comfybridge.workflow.library import Library
from comfybridge.workflow.offer import Offer
from comfybridge.workflow.sizes import expected_size
from comfybridge.workflow.template import Template

log = logging.getLogger(__name__)

# Prompts of fewer seconds need no estimate of when the next one like them will end.
WORTH_EXPECTING = 0.1


class Bridge:
    """A synchronous bridge to ComfyUI. Safe to share between threads.

    Args:
        settings: where ComfyUI is and how to treat it; from the environment and `.env` if not given.
        servers: the ComfyUIs; those of the settings if not given.

    Raises:
        SettingsError: a setting has a value that can't be used.
    """

    def __init__(self, settings: Settings | None = None, servers: Servers | None = None) -> None:
        self.settings = settings or load_settings()
        self.library = Library(self.settings.workflows_dir)
        self.servers = _servers_of(self.settings) if servers is None else servers
        machine = Machine()
        self.state = StateFolder(self.settings.state_dir)
        self.links = FileLinks(self.settings, self.servers, self.state)
        self.under_way = UnderWay()
        self.prompts = Prompts(self.servers, machine, self.under_way.taken_out)
        self.board = Board(machine, repr(self.settings.model_dump()), self.under_way, self.prompts.try_to_cancel)
        self.slots = Slots(self.settings.max_concurrent)
        self.policies = load_policies(self.settings)
        repeats = Repeats(self.servers, machine, self.settings.wait)
        conversions = Conversions(self.settings.max_graph_bytes)
        self.templates = Templates(self.library, self.servers, conversions)
        self._tasks = TaskTemplates(self.templates, self.settings.tasks, self.settings.default_workflow)
        self._offering = Offering(self.servers, self.templates)
        queueing = Queueing(self.settings, self.library, conversions, repeats)
        has_agents = self.settings.engine is not None
        self._checker = Checker(self.servers, queueing, has_servers=not self.settings.is_fleet, has_agents=has_agents)
        self._dispatcher = Dispatcher(self.servers, queueing, repeats, self.under_way, self.settings.default_workflow)
        self._again = RunningAgain(self._dispatcher, self.wait)
        self._several = Several(self.servers, self._dispatcher, self.under_way, self._again.wait_out, self.collect)

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self.board.close()
        self.servers.close()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
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
        """Queue a workflow, block until it has run, and return its outputs.

        Args:
            request: a text, a whole graph, or a `GenerationRequest`.
            on_event: called in this thread with each of the prompt's events (`comfybridge.comfyui.events`), if the
                way of waiting delivers any. ComfyUI then makes previews too.
            on_progress: called in this thread with each step, if the way of waiting delivers any.
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
    def telling(self, admitted: Admitted, teller: Teller) -> Iterator[Generation]:
        """As `generating`; meanwhile the teller tells how the request goes on."""
        with self.submit(admitted) as submission:
            told = partial(teller.queued, position_of=self.position)
            told(submission)
            hear = teller.hear if teller.is_followed else None
            with self.finishing(submission, hear, told) as generation:
                teller.end()
                yield generation

    @contextlib.contextmanager
    def finishing(
        self, submission: Submission, on_event: OnEvent | None = None, on_queued_again: OnQueued = lambda _: None
    ) -> Iterator[Generation]:
        """`wait` and `collect` in a row, for use in a `with`, which closes the submission.

        A lost prompt is submitted again as often as its request allows. A prompt that only lost the images sent over
        its websocket is submitted again once in any case: ComfyUI has the rest in its cache. So is a prompt whose
        cached files are gone, or whose files ComfyUI saved under a name that it does not serve: the nodes that made
        them run again.

        Args:
            on_queued_again: called in this thread with each submission that takes the place of the one before.
        """
        if submission.parts:
            with self._several.finishing(submission, on_event, on_queued_again) as generation:
                yield generation
            return
        submission, outcome = self._again.wait_out(submission, on_event, on_queued_again)
        with submission:
            try:
                yield self.collect(submission, outcome)
            except BridgeError as error:  # of a file that could not be fetched
                raise submission.about(error) from None

    def admit(
        self,
        request: GenerationRequest,
        owner: str | None = None,
        *,
        started: float | None = None,
        fingerprint: str | None = None,
        is_followed: bool = False,
        has_previews: bool = False,
    ) -> Admitted:
        """Admit a request: determine its owner, its deadline and its rights. Nothing is queued yet.

        Args:
            owner: the name of the caller's API key; None for a caller without one, whose rights are
                those of the policy `default`, and unlimited if there is none.
            started: when it arrived, on `time.monotonic()`'s clock; now if None.
            fingerprint: distinguishes it from other requests with its idempotency key; made from its fields if None.
            is_followed: whether its events will be followed.
            has_previews: whether ComfyUI is to make previews in any case.

        Raises:
            InvalidRequest: its timeout or its number of prompts is out of range.
            TooLarge: its graph has more bytes than the settings allow.
            Forbidden: its owner may not ask for it, as far as that shows before there is a graph.
            UnknownWorkflow, BrokenWorkflow: where its owner has only the parameters of its template.
            ComfyUIUnreachable, ComfyUIError, TimedOut: likewise, where the template must be converted.
        """
        seconds = self.settings.timeout if request.timeout is None else request.timeout
        most = self.settings.max_timeout
        if not 0 < seconds <= most:
            said = f"timeout is {seconds:g}; it must be more than 0 and at most {most:g} seconds."
            raise InvalidRequest(said, field="timeout")
        if not 1 <= request.n <= MOST or request.seed_step < 0:
            given = f"n is {request.n} and seed_step {request.seed_step}"
            wrong = "seed_step" if 1 <= request.n <= MOST else "n"
            raise InvalidRequest(f"{given}; n must be from 1 to {MOST}, and seed_step at least 0.", field=wrong)
        self._check_size(request)
        deadline = Deadline(seconds, started)
        rights = self.policies.of(owner)
        if rights is not None:
            workflow = request.template_name(self.settings.default_workflow)
            rights.check_request(request, workflow, lambda name: self.templates.get(name, deadline).parameters)
        fingerprint = fingerprint or fingerprint_of(request)
        return Admitted(request, owner, rights, deadline, fingerprint, is_followed, has_previews)

    def check(self, admitted: Admitted) -> Checked:
        """Refuse what `submit` would refuse, as far as that shows before anything is fetched or queued.

        Where no ComfyUI answers, that is what its template and its parameters show.

        Returns:
            What a ComfyUI must have for it.

        Raises:
            BridgeError: as `submit`, but for those of a ComfyUI that does not answer.
        """
        return self._checker.check(admitted)

    def submit(self, admitted: Admitted) -> Submission:
        """Make the graph of a request and queue it. The submission must be closed, or used in a `with`.

        Of a request for several prompts all are queued; `finishing` then waits for them all, and `wait` only for the
        first.

        Raises:
            InvalidRequest, InvalidWorkflow, UnknownWorkflow: the request can't work.
            BrokenWorkflow, ModelMissing: its template can't.
            Forbidden, RateLimited: its owner may not ask for it, or has asked too often.
            Busy: every slot is taken.
            ShuttingDown: the bridge is being stopped.
            ComfyUIUnreachable, ComfyUIError: ComfyUI does not answer, or answers nonsense.
            TimedOut: the deadline passed meanwhile.
        """
        if not isinstance(admitted, Admitted):
            raise TypeError("Bridge.submit takes what Bridge.admit returns: bridge.submit(bridge.admit(request)).")
        self.under_way.check_goes_on()
        place, turn = Place(self.slots), Turn(admitted.rights)
        try:
            way = self._dispatcher if admitted.asked.n == 1 else self._several
            return way.submit(admitted, place, turn)
        except BaseException as error:
            place.leave()
            if _was_not_queued(error):
                turn.give_back()
            raise

    def wait(self, submission: Submission, on_event: OnEvent | None = None) -> Outcome:
        """Block until the prompt has ended. On a timeout it is cancelled, or kept if the request says so.

        Raises:
            ExecutionFailed, Interrupted, PromptLost, TimedOut, ComfyUIUnreachable, ComfyUIError, ShuttingDown
        """
        try:
            if submission.admitted.trace.is_cancelled:  # while it was being queued
                self.prompts.try_to_cancel(submission.prompt.id)
            outcome = submission.listener.wait(submission.prompt, submission.deadline, on_event)
            self.prompts.note_end(submission.prompt.id)
            submission.ran(outcome.executing)
            if outcome.spent and (outcome.executing is None or outcome.executing >= WORTH_EXPECTING):
                learn(submission.server.node_times, submission.prompt.graph, outcome.spent, outcome.executing)
            return outcome
        except TimedOut:
            if submission.deadline.is_cut:
                raise cut_off(submission) from None
            keep = submission.request.outlasts_its_time
            canceller, seconds = submission.server.canceller, submission.deadline.seconds
            raise give_up(canceller, submission.prompt.id, seconds, keep=keep) from None
        except Abandoned:
            submission.close()  # free the slot first: cancelling takes long if ComfyUI does not answer
            if not (submission.request.outlasts_its_time or submission.admitted.trace.is_left):
                try_to_drop(submission.server.canceller, submission.prompt.id)
            raise
        except ShuttingDown:
            raise cut_off(submission) from None
        except PromptLost as error:
            if self.prompts.was_taken_out(submission.prompt.id):
                raise Interrupted(TAKEN_OUT, prompt_id=submission.prompt.id) from None
            raise submission.about(error) from None
        except BridgeError as error:
            if isinstance(error, (ExecutionFailed, Interrupted)):
                self.prompts.note_end(submission.prompt.id)
            raise submission.about(error) from None
        finally:
            self.under_way.remove(submission)
            submission.ran(None)

    def collect(self, submission: Submission, outcome: Outcome) -> Generation:
        """Make a `Generation` from an outcome. No file is fetched yet: its outputs do that when they are read.

        Raises:
            NoOutput: the prompt finished with nothing to show.
            InvalidRequest: its outputs come from nodes other than the requested ones.
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
        """A prompt's place among those waiting on ComfyUI, from 1; 0 if it is running or finished.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut
        """
        queue = submission.server.lookup.recent_queue(submission.queued_at, submission.deadline)
        pending = queue.pending
        return pending.index(submission.prompt.id) + 1 if submission.prompt.id in pending else 0

    def abandon(self, admitted: Admitted) -> None:
        """Give up a request that another thread waits for, because its caller is gone.

        Its prompt is cancelled, unless it would be kept on a timeout too or has an idempotency key; the bridge then
        only stops waiting for it. A request that is not queued yet goes on until it is.
        """
        self.under_way.abandon(admitted)

    def cancel(self, admitted: Admitted) -> None:
        """Cancel the prompts of a request that another thread waits for. It ends as they end: they may just have run.

        A request that is not queued yet will not be; it ends with Interrupted. Returns once ComfyUI was told.
        """
        admitted.trace.is_cancelled = True
        for each in self.under_way.of(admitted):
            self.prompts.try_to_cancel(each.prompt_id)

    def progress_of(self, caller: str, *, with_preview: bool = True) -> CallerProgress | None:
        """How far the requests are that a caller has on the `board`, in all processes of this machine.

        Args:
            with_preview: whether the latest picture is wanted too.

        Returns:
            None if there are none.
        """
        return self.board.progress_of(caller, with_preview=with_preview)

    def interrupt(self, caller: str) -> int:
        """Cancel the prompts of the requests that a caller has on the `board`, in all processes of this machine.

        Returns:
            How many prompts that were.
        """
        return self.board.interrupt(caller)

    def prompts_waited_for(self) -> list[str]:
        """The ids of the prompts that requests wait for."""
        return self.under_way.prompts()

    def shut_down(self) -> tuple[list[str], list[str], int]:
        """On shutdown, give up all waiting requests, and refuse new ones.

        Their prompts are cancelled, except those that would be kept on a timeout too.

        Returns:
            The ids of the prompts that are cancelled, and of those that are kept; and how many requests are given
            up that have no prompt yet.
        """
        return self.under_way.shut_down()

    # -- what else is asked of it --------------------------------------------------------------------------------

    def template_for(self, task: Task, deadline: Deadline, owner: str | None = None) -> Template:
        """The template for a task of which a request names none: the one that `COMFYBRIDGE_TASKS` names, or else the
        default workflow, the one that is named after the task, or the first by name, if it is for the task.

        Args:
            owner: as `admit` takes it; its policy says which it may use.

        Raises:
            UnknownWorkflow: there is none that its owner may use.
            BrokenWorkflow, ComfyUIUnreachable, ComfyUIError, TimedOut: it can't be read.
        """
        rights = self.policies.of(owner)
        return self._tasks.find(task, deadline, rights.allows_workflow if rights is not None else lambda _: True)

    def offer(self, template: Template, deadline: Deadline) -> Offer:
        """What a server accepts for each of a template's parameters, as far as it says so.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut
        """
        return self._offering.offer(template, deadline)

    def inventory(self, template: Template, deadline: Deadline) -> Inventory:
        """What a template needs, and whether a server has it.

        Raises:
            ComfyUIUnreachable, ComfyUIError, TimedOut: no server answers.
        """
        return inventory(template, self.servers, deadline)

    def convert(self, graph: Mapping[str, Any], deadline: Deadline, owner: str | None = None) -> Offer:
        """Turn a workflow that ComfyUI's editor saved into the prompt that the editor would send. Nothing is queued.

        Args:
            graph: the file; a graph in API format stays as it is.
            owner: as `admit` takes it.

        Returns:
            The prompt as a template, and what its parameters accept as far as the caller may know it.

        Raises:
            InvalidWorkflow: it can't be converted truthfully, on no server; the message names the node.
            TooLarge: it has more bytes than the settings allow.
            Forbidden: its owner may not bring graphs, or not such nodes.
            ComfyUIUnreachable, ComfyUIError, TimedOut: no server says what its nodes are.
        """
        self._check_bytes(graph)
        return self._offering.convert(graph, deadline, self.policies.of(owner))

    # -- its parts -----------------------------------------------------------------------------------------------

    def _check_size(self, request: GenerationRequest) -> None:
        """Refuse a graph that would burden ComfyUI's queue, which it sends whole to all who ask for it."""
        self._check_bytes(request.graph, request.params, request.extra_data)

    def _check_bytes(self, *values: Any) -> None:
        most = self.settings.max_graph_bytes
        if has_more_bytes(most, *values):
            raise TooLarge(
                f"The graph has more than {most} bytes, the most that COMFYBRIDGE_MAX_GRAPH_BYTES allows; send "
                "files in images."
            )


def _servers_of(settings: Settings) -> Servers:
    clients = [
        ComfyUIClient(
            address,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            pool_size=settings.max_concurrent,
        )
        for address in settings.addresses
    ]
    return Servers([Server(client) for client in clients], settings.max_queue)


def _was_not_queued(error: BaseException) -> bool:
    """Whether a request was certainly not queued: it or its template was wrong, or ComfyUI could not be reached."""
    if isinstance(error, ComfyUIUnreachable):
        return error.prompt_id is None
    if isinstance(error, BrokenWorkflow):
        return True
    return isinstance(error, BridgeError) and error.status < 500
