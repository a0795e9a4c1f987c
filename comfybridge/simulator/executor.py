"""The worker: runs one prompt after the other, node by node, and sends their events."""

import time
from collections.abc import Callable
from typing import Any

from comfybridge.simulator.cache import Cache, Cached
from comfybridge.simulator.faults import Faults, NodeFault
from comfybridge.simulator.gate import Gate
from comfybridge.simulator.links import is_link
from comfybridge.simulator.node_run import Interrupt, Interrupted, Run, RunningNode
from comfybridge.simulator.nodes.catalog import node_classes
from comfybridge.simulator.nodes.definition import NodeClass, Result
from comfybridge.simulator.nodes.dynamic import nested, spelled_out
from comfybridge.simulator.plan import Plan
from comfybridge.simulator.prompt_queue import Entry, Item
from comfybridge.simulator.sockets import Sockets
from comfybridge.simulator.tracebacks import traceback_lines
from comfybridge.simulator.world import World

_ENDS = ("execution_success", "execution_error", "execution_interrupted")
_PREVIEW_METHODS = ("none", "auto", "latent2rgb", "taesd")
"""What else is asked for, "default" too, is what the server was started with."""


class NodeFailed(Exception):
    """A node raised `cause` when called with `inputs`."""

    def __init__(self, node_id: str, cause: Exception, exception_type: str, inputs: dict[str, Any]) -> None:
        super().__init__(node_id)
        self.node_id = node_id
        self.cause = cause
        self.exception_type = exception_type
        self.inputs = inputs


class OrderedFailure(Exception):
    """The exception of a node that a test told to fail."""

    def __init__(self, fault: NodeFault) -> None:
        super().__init__(fault.message)
        self.exception_type = fault.exception_type


class Blocked:
    """An output that keeps the nodes after it from running; one of them reports why."""

    def __init__(self, message: str | None) -> None:
        self.message = message


class Executor:
    """Runs prompts on the worker thread."""

    def __init__(
        self,
        world: World,
        gate: Gate,
        faults: Faults,
        sockets: Sockets,
        previews: bool,
        stopped: Callable[[], bool],
    ) -> None:
        self.interrupt = Interrupt()
        self.client_id: str | None = None
        """The client of the prompt that runs now or ran last."""
        self.current_node: str | None = None
        self.forget = False
        """Set to empty the cache before the next prompt."""
        self.has_told_end = False
        """Whether the prompt that runs has told its end: a moment later it is in the history."""
        self._world = world
        self._gate = gate
        self._faults = faults
        self._sockets = sockets
        self._previews = previews
        self._stopped = stopped
        self._cache = Cache(world)
        self._messages: list[list[Any]] = []

    def execute(self, item: Item) -> Entry:
        """Runs a queue item to its end, successful or not. Raises Stopped if the server goes down meanwhile."""
        self.interrupt.raised = False
        run = Run(self._world, self._gate, self._sockets, self.interrupt, self._stopped, item)
        self.client_id = run.client_id
        self._messages = []
        self._tell(run, "execution_start", {"prompt_id": run.prompt_id})
        self._prepare_cache(run)
        cached = [node_id for node_id in run.graph if self._cache.get(node_id) is not None]
        self._tell(run, "execution_cached", {"nodes": cached, "prompt_id": run.prompt_id})
        success = self._run_nodes(run)
        self.current_node = None
        return self._entry(run, success)

    def _prepare_cache(self, run: Run) -> None:
        if self.forget:
            self.forget = False
            self._cache.clear()
        self._cache.start_prompt(run.graph)

    def _run_nodes(self, run: Run) -> bool:
        plan = Plan(run.graph, run.outputs, self._cache, node_classes(self._world.version))
        node_id = ""
        try:
            while plan:
                node_id = plan.next()
                self._run_node(run, node_id)
                plan.done(node_id)
        except Interrupted:
            where = {"prompt_id": run.prompt_id, "node_id": node_id, "node_type": _class_type(run, node_id)}
            # Broadcast: without a client id it goes to every socket.
            self._tell(run, "execution_interrupted", {**where, "executed": list(run.executed)}, broadcast=True)
            return False
        except NodeFailed as failure:
            self._tell(run, "execution_error", _error(run, failure))
            return False
        self._announce_cached(run)
        self._tell(run, "execution_success", {"prompt_id": run.prompt_id})
        return True

    def _announce_cached(self, run: Run) -> None:
        """Announces outputs of nodes that are not output nodes and did not run."""
        classes = node_classes(self._world.version)
        for node_id in run.graph:
            if node_id not in run.executed and classes[_class_type(run, node_id)].announces_cached:
                cached = self._cache.get(node_id)
                if cached is not None:
                    run.note_shown(node_id, cached)
                    display = {"node": node_id, "display_node": node_id}
                    run.send_to_client("executed", {**display, "output": cached.shown})

    def _run_node(self, run: Run, node_id: str) -> None:
        display = {"node": node_id, "display_node": node_id}
        cached = self._cache.get(node_id)
        if cached is not None:
            self._gate.end_node(lambda: self.interrupt.raised, self._stopped)
            run.note_shown(node_id, cached)
            run.send_to_client("executed", {**display, "output": cached.shown})
            run.progress.finish(node_id)
            return
        run.progress.start(node_id)
        if run.client_id is not None:
            self.current_node = node_id
        run.send_to_client("executing", display)
        result = self._result(run, node_id)
        if result.shown:
            run.note_shown(node_id, result)
            run.send_to_client("executed", {**display, "output": result.shown})
        self._cache.put(node_id, result)
        run.progress.finish(node_id)
        run.executed.append(node_id)

    def _result(self, run: Run, node_id: str) -> Cached:
        node_class = node_classes(self._world.version)[_class_type(run, node_id)]
        inputs = self._inputs(run, node_id, node_class)
        try:
            self.interrupt.check()
            given = self._call(run, node_id, node_class, inputs)
            self._gate.end_node(lambda: self.interrupt.raised, self._stopped)
            self.interrupt.check()
        except Interrupted:
            raise
        except OrderedFailure as error:
            raise NodeFailed(node_id, error, error.exception_type, inputs) from error
        except Exception as error:
            raise NodeFailed(node_id, error, _type_name(error), inputs) from error
        if isinstance(given, tuple):
            return Cached(given, None, None)
        meta = {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}
        if isinstance(given, Result):
            return Cached(given.outputs, given.shown, meta)
        return Cached((), given or None, meta)

    def _inputs(self, run: Run, node_id: str, node_class: NodeClass) -> dict[str, Any]:
        given = run.graph[node_id]["inputs"]
        types = spelled_out({"required": node_class.required, "optional": node_class.optional}, given)
        known = {*types["required"], *types["optional"]}
        inputs = {}
        for name, value in given.items():
            if is_link(value):
                source = self._cache.get(value[0])
                inputs[name] = source.outputs[int(value[1])] if source else None
            elif name in known:
                inputs[name] = value
        return nested(types, inputs)

    def _call(
        self, run: Run, node_id: str, node_class: NodeClass, inputs: dict[str, Any]
    ) -> tuple[Any, ...] | dict[str, Any] | Result:
        for value in inputs.values():
            if isinstance(value, Blocked):
                if value.message is not None:
                    run.send("execution_error", _blocked_error(run, node_id, value.message))
                return tuple(Blocked(None) for _ in node_class.returns)
        fault = self._faults.of_node(node_class.name)
        if fault is not None and not fault.blocks:
            raise OrderedFailure(fault)
        memory = self._cache.memory(node_id, node_class.name)
        given = node_class.run(RunningNode(run, node_id, memory, self._makes_previews(run)), **inputs)
        if fault is not None:
            return tuple(Blocked(fault.message) for _ in node_class.returns)
        return given

    def _makes_previews(self, run: Run) -> bool:
        """By the prompt's wish, if the version allows that, and otherwise by the server's command line."""
        method = run.extra_data.get("preview_method")
        if self._world.version.takes_preview_methods and method in _PREVIEW_METHODS:
            return bool(method != "none")
        return self._previews

    def _tell(self, run: Run, event: str, data: dict[str, Any], broadcast: bool = False) -> None:
        """Sends an event and notes it for the history."""
        self.has_told_end = event in _ENDS
        stamped = {**data, "timestamp": int(time.time() * 1000)}
        self._messages.append([event, stamped])
        if run.client_id is not None or broadcast:
            run.send(event, stamped)

    def _entry(self, run: Run, success: bool) -> Entry:
        shown = run.shown if self._world.version.remembers_only_the_run else self._all_cached(run)
        word = "success" if success else "error"
        return Entry(
            outputs={node_id: cached.shown for node_id, cached in shown.items()},
            meta={node_id: cached.meta for node_id, cached in shown.items()},
            status={"status_str": word, "completed": success, "messages": self._messages},
        )

    def _all_cached(self, run: Run) -> dict[str, Cached]:
        """Every node of the graph with cached outputs to show, even if not requested."""
        return {
            node_id: cached
            for node_id in run.graph
            if (cached := self._cache.get(node_id)) is not None and cached.shown
        }


def _class_type(run: Run, node_id: str) -> str:
    return str(run.graph[node_id]["class_type"])


def _type_name(error: Exception) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _error(run: Run, failure: NodeFailed) -> dict[str, Any]:
    class_type = _class_type(run, failure.node_id)
    return {
        "prompt_id": run.prompt_id,
        "node_id": failure.node_id,
        "node_type": class_type,
        "executed": list(run.executed),
        "exception_message": f"{failure.cause}\n",
        "exception_type": failure.exception_type,
        "traceback": traceback_lines(class_type, "return run(**inputs)", file="nodes.py", line=1647),
        "current_inputs": {name: [_printable(value)] for name, value in failure.inputs.items()},
        "current_outputs": list(run.graph),
    }


def _blocked_error(run: Run, node_id: str, message: str) -> dict[str, Any]:
    return {
        "prompt_id": run.prompt_id,
        "node_id": node_id,
        "node_type": _class_type(run, node_id),
        "executed": list(run.executed),
        "exception_message": f"Execution Blocked: {message}",
        "exception_type": "ExecutionBlocked",
        "traceback": [],
        "current_inputs": [],
        "current_outputs": [],
    }


def _printable(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, str)) else str(value)
