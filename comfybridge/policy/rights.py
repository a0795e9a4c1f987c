"""Holds requests against the policy of their caller."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfybridge.errors import Forbidden, RateLimited
from comfybridge.files.names import PROSE
from comfybridge.files.sent import MOST_FILES
from comfybridge.media import image_size
from comfybridge.policy.job_terms import USUAL
from comfybridge.policy.limits import exceeded, excess
from comfybridge.policy.policy import Policy
from comfybridge.policy.rates import Bucket
from comfybridge.request import GenerationRequest, InputFile
from comfybridge.workflow.graph import Graph
from comfybridge.workflow.wording import clip, listed

# the suffix of a file's name that is not in the input folder (folder_paths.annotated_filepath); other packs' nodes
# may be lenient about its form
OTHER_FOLDERS = ("[output]", "[temp]")

# the names of a template's parameters, by the template's name
ParametersOf = Callable[[str], Collection[str]]


@dataclass(frozen=True)
class Rights:
    """What one caller may ask for. Safe to share between threads.

    Attributes:
        who: the caller, as the start of a sentence.
        policy: the policy that applies to it.
    """

    who: str
    policy: Policy
    _bucket: Bucket | None = field(default=None, repr=False)
    _assets: Bucket | None = field(default=None, repr=False)

    @property
    def is_confined(self) -> bool:
        """Whether it may only set the parameters of templates."""
        return not self.policy.takes_graphs and not self.policy.takes_overrides

    def check_request(self, request: GenerationRequest, workflow: str | None, parameters_of: ParametersOf) -> None:
        """Refuse a request that asks for more than it may, as far as that shows before there is a graph.

        Args:
            workflow: the template's name; None if the request has a graph.

        Raises:
            Forbidden: it is not allowed; the message says what is.
            UnknownWorkflow, BrokenWorkflow: raised by `parameters_of`.
        """
        policy = self.policy
        if workflow is not None:
            self.check_workflow(workflow)
        else:
            self.check_takes_graphs()
        if not policy.takes_overrides:
            self._check_no_overrides(request, workflow, parameters_of)
            if self.is_confined:  # a graph could show such a file anyway
                self._check_no_outputs(request)
        if policy.max_batch_size is not None and request.n > policy.max_batch_size:
            raise Forbidden(f"{self.who} may have at most {policy.max_batch_size} as n, not {request.n}.", field="n")
        if not policy.priority and (request.front or request.number is not None):
            said = f"{self.who} may not choose a place in the queue; leave out front and number."
            raise Forbidden(said, field="front" if request.front else "number")

    def check_takes_graphs(self) -> None:
        """Refuse a whole graph to a caller who may not bring one.

        Raises:
            Forbidden
        """
        if not self.policy.takes_graphs:
            raise Forbidden(
                f"{self.who} may not run whole graphs, only workflows by name: {_names(self.policy.workflows)}."
            )

    def allows_workflow(self, name: str) -> bool:
        """Whether it may use a template."""
        return self.policy.workflows is None or name in self.policy.workflows

    def check_workflow(self, name: str) -> None:
        """Refuse a template that it may not use.

        Raises:
            Forbidden
        """
        if not self.allows_workflow(name):
            raise Forbidden(
                f"{self.who} may not use the workflow {clip(name)!r}, only {_names(self.policy.workflows)}.",
                field="workflow",
            )

    def check_server_info(self) -> None:
        """Refuse information about ComfyUI's servers and models.

        Raises:
            Forbidden
        """
        if not self.policy.server_info:
            raise Forbidden(
                f"{self.who} may not see the models and servers; GET /workflows and GET /queue are allowed."
            )

    @property
    def most_priority(self) -> int:
        """The highest priority that a job of the caller may have."""
        return self.policy.max_priority if self.policy.priority else min(USUAL, self.policy.max_priority)

    def check_job(self, priority: int | None, *, has_webhook: bool) -> None:
        """Refuse a job that the caller may not queue.

        Args:
            priority: the one that it asks for, if it does.
            has_webhook: whether it has one.

        Raises:
            Forbidden
        """
        if priority is not None and priority > self.most_priority:
            said = f"{self.who} may give jobs a priority of at most {self.most_priority}, not {priority}."
            raise Forbidden(said, field="priority")
        if has_webhook and not self.policy.webhooks:
            raise Forbidden(f"{self.who} may not have webhooks; GET /jobs/ID tells how a job ends.", field="webhook")

    def check_graph(self, graph: Graph, params: Mapping[str, Any], n: int = 1, *, is_trusted: bool) -> None:
        """Refuse a graph that exceeds what the caller may ask for.

        Args:
            graph: the graph to be queued, whatever its origin.
            params: the parameters that were filled in.
            n: how many such graphs the request runs; n times the batch size must be within its limit.
            is_trusted: whether all links come from a template, and none from the caller.

        Raises:
            Forbidden: it is not allowed; the message says what is.
        """
        self.check_nodes(graph)
        limits = self.policy.limits
        if limits is not None:
            problem = excess(graph, params, limits, is_trusted=is_trusted)
            if problem:
                raise Forbidden(f"{self.who} may have {problem}.", field=exceeded(params, limits))
            if n > 1 and limits.batch_size is not None:
                problem = excess(graph, params, limits.for_each_of(n), is_trusted=is_trusted)
                if problem:
                    because = f"because n is {n} and both count together"
                    raise Forbidden(f"{self.who} may have {problem}, {because}.", field="n")

    def check_nodes(self, graph: Graph) -> None:
        """Refuse a graph with nodes of classes that the caller may not use.

        Raises:
            Forbidden: it has one; the message says which are allowed.
        """
        allowed, refused = self.policy.nodes
        if allowed is not None or refused:
            for node_id, node in graph.items():
                name = node["class_type"]
                if name in refused or (allowed is not None and name not in allowed):
                    which = f"refused are {listed(refused, name)}"
                    if allowed is not None:
                        which = f"allowed are {listed(sorted(allowed - refused), name)}"
                    raise Forbidden(
                        f"{self.who} may not use the node class {clip(name)} (node {clip(node_id)}); {which}."
                    )

    def check_file(self, file: InputFile) -> None:
        """Refuse an input image larger than the caller may ask for, because img2img makes an image of the same size.

        Raises:
            Forbidden
        """
        limits = self.policy.limits
        size = image_size(file.data) if limits is not None else None
        if limits is None or size is None:
            return
        numbers = {"width": size[0], "height": size[1], "pixels": size[0] * size[1]}
        for kind, number in numbers.items():
            most = limits.of(kind)
            if most is not None and number > most:
                what = "pixels" if kind == "pixels" else f"pixels of {kind}"
                raise Forbidden(
                    f"{self.who} may send images of up to {most} {what}; {clip(file.name)} is {size[0]} x {size[1]}.",
                    field=file.name,
                )

    def take_turn(self) -> None:
        """Count a request against the rate. `Turn` does so once for each.

        Raises:
            RateLimited: there were too many.
        """
        _take(self._bucket, f"{self.who} may make {self.policy.rate} requests; the next one in")

    def give_turn_back(self) -> None:
        """Uncount a request."""
        if self._bucket is not None:
            self._bucket.give_back()

    @contextlib.contextmanager
    def counting_asset(self) -> Iterator[None]:
        """Count a file that is there before the requests that use it, unless that fails.

        Raises:
            RateLimited: there are more than the requests of the rate could have brought themselves.
        """
        bucket = self._assets
        _take(bucket, f"{self.who} may make {MOST_FILES} assets for each of {self.policy.rate} requests; the next in")
        try:
            yield
        except BaseException:
            if bucket is not None:
                bucket.give_back()
            raise

    def _check_no_overrides(
        self, request: GenerationRequest, workflow: str | None, parameters_of: ParametersOf
    ) -> None:
        dotted = [name for name in request.params if "." in str(name)]
        if dotted:
            known: Collection[str] = () if workflow is None else parameters_of(workflow)
            unknown = next((name for name in dotted if name not in known), None)
            if unknown is not None:
                names = f": {listed(known, unknown)}" if known else ""
                raise Forbidden(
                    f"{self.who} may not set inputs by NODE.INPUT ({clip(unknown)}), only the parameters{names}.",
                    field=unknown,
                )
        for name in ("extra_data", "partial_execution_targets"):
            if getattr(request, name):
                raise Forbidden(f"{self.who} may not give {name}, only the workflow's parameters.", field=name)

    def _check_no_outputs(self, request: GenerationRequest) -> None:
        """Refuse to load a file that may be another caller's picture."""
        for name, value in request.params.items():
            if name not in PROSE and isinstance(value, str) and value.strip().lower().endswith(OTHER_FOLDERS):
                raise Forbidden(
                    f"{self.who} may not load {clip(value)}, only files of its own, or of ComfyUI's input folder.",
                    field=name,
                )

    def check_unseen(self, file: InputFile) -> None:
        """Refuse a file that ComfyUI would fetch if images have limits: the bridge cannot see how large it is.

        Raises:
            Forbidden
        """
        limits = self.policy.limits
        if limits is not None and any(limits.of(kind) is not None for kind in ("width", "height", "pixels")):
            raise Forbidden(
                f"{self.who} may send images of limited size only; that of {clip(file.name)} is unknown, because "
                "a node of the graph fetches it.",
                field=file.name,
            )


class Turn:
    """How one request counts against its owner's rate: once if it is queued, however often that is tried.

    Args:
        rights: its owner's; None if it does not count.
    """

    def __init__(self, rights: Rights | None) -> None:
        self._rights = rights
        self._is_taken = False

    def take(self) -> None:
        """Count the request, unless it is counted.

        Raises:
            RateLimited: there were too many.
        """
        if self._rights is not None and not self._is_taken:
            self._rights.take_turn()
            self._is_taken = True

    def give_back(self) -> None:
        """Uncount the request: nothing was queued for it."""
        if self._rights is not None and self._is_taken:
            self._is_taken = False
            self._rights.give_turn_back()


def _names(workflows: list[str] | None) -> str:
    return "those that GET /workflows lists" if workflows is None else listed(workflows)


def _take(bucket: Bucket | None, said: str) -> None:
    """Take a token of a bucket.

    Args:
        said: the beginning of the refusal, which ends with the seconds.

    Raises:
        RateLimited: there is none.
    """
    wait = 0.0 if bucket is None else bucket.take()
    if wait:
        seconds = math.ceil(wait)
        raise RateLimited(f"{said} {seconds} s.", retry_after=seconds)
