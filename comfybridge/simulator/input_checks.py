"""The checks of one node's inputs, and, through its links, of all nodes before it."""

from typing import Any

from comfybridge.simulator.nodes.catalog import node_classes
from comfybridge.simulator.nodes.definition import Graph, NodeClass
from comfybridge.simulator.nodes.dynamic import spelled_out
from comfybridge.simulator.tracebacks import traceback_lines
from comfybridge.simulator.version import Version
from comfybridge.simulator.world import World

Problem = dict[str, Any]

# Longer choice lists are left out of the error body.
_LONGEST_LIST_SHOWN = 20

_CONVERSIONS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


class InputChecks:
    """Checks the nodes of one graph, each once."""

    def __init__(self, graph: Graph, world: World) -> None:
        self.verdicts: dict[str, list[Problem] | None] = {}
        """Per node checked so far: None when it is good, else its own problems (none when the fault lies above)."""
        self._path: dict[str, None] = {}  # the nodes being checked, each because of the previous one
        self._classes = node_classes(world.version)
        self._graph = graph
        self._world = world

    def problems_of(self, node_id: str) -> list[Problem] | None:
        """None if the node and all nodes before it are valid; otherwise the node's own problems, possibly none.

        Raises KeyError or IndexError for a link to nowhere, as ComfyUI does.
        """
        if node_id not in self.verdicts and node_id in self._path:
            path = list(self._path)
            self._note_cycle(path[path.index(node_id) :])
        if node_id in self.verdicts:
            return self.verdicts[node_id]
        self._path[node_id] = None
        try:
            verdict = self._check(node_id)
        finally:
            del self._path[node_id]
        noted = self.verdicts.get(node_id)
        if noted is not None:
            verdict = noted + [problem for problem in verdict or [] if problem not in noted]
        self.verdicts[node_id] = verdict
        return verdict

    def _note_cycle(self, nodes: list[str]) -> None:
        """Makes every node of a cycle invalid. Older versions of ComfyUI recurse until Python stops them."""
        way = " -> ".join(f"{node_id} ({self._graph[node_id]['class_type']})" for node_id in [*nodes, nodes[0]])
        for node_id in nodes:
            problem = {
                "type": "dependency_cycle",
                "message": "Dependency cycle detected",
                "details": way,
                "extra_info": {"node_id": node_id, "cycle_nodes": nodes},
            }
            self.verdicts[node_id] = [problem] if self._world.version.finds_cycles else []

    def _check(self, node_id: str) -> list[Problem] | None:
        inputs = self._graph[node_id]["inputs"]
        node_class = self._classes[self._graph[node_id]["class_type"]]
        types = spelled_out(node_class.input_types(self._world), inputs)
        problems: list[Problem] = []
        good = True
        for group in ("required", "optional"):
            for name, spec in types.get(group, {}).items():
                config = [spec[0], spec[1] if len(spec) > 1 else {}]
                if name not in inputs:
                    if group == "required":
                        problems.append(
                            _problem("required_input_missing", "Required input is missing", name.split(".")[-1], name)
                        )
                elif isinstance(inputs[name], list):
                    problem, sound = self._check_link(name, inputs[name], config)
                    good = good and sound
                    problems += [problem] if problem else []
                else:
                    custom = name in node_class.accepts_inputs
                    problem = _check_value(name, inputs, config, custom, self._world.version)
                    problems += [problem] if problem else []
        problems += self._custom_problems(node_class, inputs)
        return None if good and not problems else problems

    def _check_link(self, name: str, link: list[Any], config: list[Any]) -> tuple[Problem | None, bool]:
        """A problem of the link itself, and whether all nodes before it are valid."""
        extra: dict[str, Any]
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            extra = {"input_config": config, "received_value": link}
            return _problem("bad_linked_input", message, name, name, extra), True
        source = link[0]
        received = self._classes[self._graph[source]["class_type"]].returns[link[1]]
        if not _fits(received, config[0]):
            details = f"{name}, received_type({received}) mismatch input_type({config[0]})"
            extra = {"input_config": config, "received_type": received, "linked_node": link}
            message = "Return type mismatch between linked nodes"
            return _problem("return_type_mismatch", message, details, name, extra), True
        try:
            return None, self.problems_of(source) is None
        except Exception as error:
            extra = {
                "input_config": config,
                "exception_message": str(error),
                "exception_type": type(error).__name__,
                "traceback": traceback_lines("validate_inputs", "check(graph[source])", line=808),
                "linked_node": link,
            }
            message = "Exception when validating inner node"
            # The problem is reported for the node before, although the input named in it is this one's.
            problem = _problem("exception_during_inner_validation", message, str(error), name, extra)
            self.verdicts[source] = [problem]
            return None, False

    def _custom_problems(self, node_class: NodeClass, inputs: dict[str, Any]) -> list[Problem]:
        if node_class.accepts is None:
            return []
        given = {name: inputs[name] for name in node_class.accepts_inputs if name in inputs}
        for name in node_class.accepts_inputs:
            if name not in given:
                missing = f"missing 1 required positional argument: '{name}'"
                raise TypeError(f"{node_class.name}.VALIDATE_INPUTS() {missing}")
            if isinstance(given[name], list):
                given[name] = None  # linked, so it is unknown before the graph runs
        answer = node_class.accepts(self._world, **given)
        if answer is True:
            return []
        message = "Custom validation failed for node"
        return [
            _problem("custom_validation_failed", message, f"{name} - {answer}" if answer else name, name)
            for name in given
        ]


def _problem(kind: str, message: str, details: str, name: str, extra: dict[str, Any] | None = None) -> Problem:
    return {"type": kind, "message": message, "details": details, "extra_info": {"input_name": name, **(extra or {})}}


def _fits(received: Any, wanted: Any) -> bool:
    if received == wanted or wanted == "*":
        return True
    if not isinstance(received, str) or not isinstance(wanted, str):
        return False
    return not set(received.split(",")).isdisjoint(wanted.split(","))


def _check_value(
    name: str, inputs: dict[str, Any], config: list[Any], custom: bool, version: Version
) -> Problem | None:
    """Converts the value in place and checks it; `custom`: the node has checks of its own for it."""
    kind, limits = config
    value = inputs[name]
    try:
        if isinstance(value, dict) and "__value__" in value:
            value = value["__value__"]
        if isinstance(kind, str) and kind in _CONVERSIONS:
            value = _CONVERSIONS[kind](value)
        inputs[name] = value
    except Exception as error:
        extra = {"input_config": config, "received_value": value, "exception_message": str(error)}
        message = f"Failed to convert an input value to a {kind} value"
        return _problem("invalid_input_type", message, f"{name}, {value}, {error}", name, extra)
    if custom:
        return None
    extra = {"input_config": config, "received_value": value}
    if "min" in limits and value < limits["min"]:
        message = f"Value {value} smaller than min of {limits['min']}"
        return _problem("value_smaller_than_min", message, name, name, extra)
    if "max" in limits and value > limits["max"]:
        message = f"Value {value} bigger than max of {limits['max']}"
        return _problem("value_bigger_than_max", message, name, name, extra)
    options = limits.get("options", []) if kind == "COMBO" and version.checks_options else kind
    if isinstance(options, list) and value not in options:
        choices = str(options)
        if len(options) > _LONGEST_LIST_SHOWN:
            choices, extra["input_config"] = f"(list of length {len(options)})", None
        return _problem("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {choices}", name, extra)
    return None
