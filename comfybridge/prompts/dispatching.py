"""Chooses the server on which a request is queued, also when it is queued again because its prompt was lost."""

from __future__ import annotations

import dataclasses
import time

from comfybridge.comfyui.servers import Server, Servers
from comfybridge.errors import BridgeError, BrokenWorkflow, ComfyUIUnreachable, InvalidWorkflow, PromptLost
from comfybridge.policy.rights import Turn
from comfybridge.prompts.admitted import Admitted
from comfybridge.prompts.conversions import none_can
from comfybridge.prompts.giving_up import Abandoned
from comfybridge.prompts.queueing import Queueing
from comfybridge.prompts.repeats import Repeats
from comfybridge.prompts.submission import Place, Submission
from comfybridge.prompts.under_way import UnderWay
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted

# How often it is tried whether a ComfyUI that was lost is back, where prompts are to be queued again.
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 2.0


class Dispatcher:
    """Queues requests, and adds them to those that are under way. Safe to share between threads.

    Args:
        default_workflow: the workflow of requests that name none.
    """

    def __init__(
        self, servers: Servers, queueing: Queueing, repeats: Repeats, under_way: UnderWay, default_workflow: str
    ) -> None:
        self._servers = servers
        self._queueing = queueing
        self._repeats = repeats
        self._under_way = under_way
        self._default_workflow = default_workflow

    def submit(self, admitted: Admitted, place: Place, turn: Turn) -> Submission:
        """Queue a request on one of the servers, unless it is a repeat of one that was queued.

        Args:
            place: is moved to that server.
            turn: is taken if it is queued.

        Raises:
            BridgeError: as `Bridge.submit` tells.
        """
        with self._under_way.queueing(admitted):
            return self._submit(admitted, place, turn)

    def submit_again(self, lost: Submission, failure: BridgeError) -> Submission:
        """A submission in the place of one that was lost, once ComfyUI is back.

        Raises:
            ComfyUIUnreachable: it is not back in time. The place is left then, as with all other errors.
        """
        admitted, place = lost.admitted, lost.place
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    found = None if isinstance(failure, PromptLost) else self._found_again(lost)
                    return found or self.submit(admitted, place, Turn(None))
                except ComfyUIUnreachable as error:
                    if error.prompt_id is not None or admitted.deadline.remaining() <= pause:
                        raise lost.about(error) from None
                place.leave_server()
                time.sleep(pause)
                self._under_way.check_goes_on()
                if admitted.trace.given_up is not None:
                    raise Abandoned(admitted.trace.given_up, prompt_id=lost.prompt.id)
                pause = min(2 * pause, LONGEST_PAUSE)
        except BaseException:
            place.leave()
            raise

    def submit_past_cache(
        self, earlier: Submission, gone: set[str], misnamed: dict[str, tuple[str, str]]
    ) -> Submission:
        """Run a prompt once more; arguments and errors are those of `Queueing.submit_past_cache`."""
        with self._under_way.queueing(earlier.admitted):
            return self._added(self._queueing.submit_past_cache(earlier, gone, misnamed))

    def _submit(self, admitted: Admitted, place: Place, turn: Turn) -> Submission:
        if admitted.may_be_queued:
            earlier = self._repeats.attach(admitted, place, is_alone=False)
            if earlier is not None:
                return self._added(earlier)
        workflow = self._queueing.workflow_of(admitted)
        everywhere = set(self._servers.all)
        lacking = self._lacking(workflow)
        failures: dict[Server, BridgeError] = {}
        while True:
            tried = failures.keys() | lacking
            server = self._servers.begin(failures.keys() if tried == everywhere else tried)
            place.move(server)
            admitted.trace.server = server.url
            try:
                return self._added(self._queueing.submit(server, admitted, workflow, place, turn))
            except (ComfyUIUnreachable, InvalidWorkflow, BrokenWorkflow) as error:
                is_out_of_reach = isinstance(error, ComfyUIUnreachable)
                if error.prompt_id is not None or not (is_out_of_reach or error.lacks):
                    raise  # it may be queued there, or it would fail everywhere
                failures[server] = error
                if failures.keys() == everywhere:
                    raise none_can([*failures.items()]) from None
                if is_out_of_reach:
                    self._servers.mark_down(server)

    def _lacking(self, workflow: Template | Unconverted) -> set[Server]:
        """The servers that lately said that they lack a node class of a workflow."""
        with_gaps = [server for server in self._servers.all if server.catalog.has_gaps]
        if not with_gaps or len(self._servers.all) == 1:
            return set()
        types = workflow.types
        return {server for server in with_gaps if server.catalog.lacks(types)}

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
            if len(self._servers.all) == 1:
                error.prompt_id = None  # that prompt is lost, as far as can be told
                raise
            self._servers.mark_down(server)
            return None
        if lost.prompt.websocket_outputs:
            return None
        server.begin()
        lost.place.move(server)
        listener = server.waiters["poll"].listen(lost.prompt, lost.deadline)
        return self._added(dataclasses.replace(lost, listener=listener))

    def _added(self, submission: Submission) -> Submission:
        trace = submission.admitted.trace
        trace.workflow = submission.request.workflow_name(self._default_workflow)
        trace.server, trace.prompt_id = submission.server.url, submission.prompt.id
        trace.params = submission.filled.params
        self._under_way.add(submission)
        return submission
