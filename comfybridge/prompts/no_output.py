"""The error for a prompt that finished without outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.outcome import Outcome
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, InvalidRequest, NoOutput
from comfybridge.prompts.outputs import outputs_of
from comfybridge.request import OutputOptions
from comfybridge.workflow.wording import clip

MOST_NAMED = 20


def nothing_to_show(
    outcome: Outcome, client: ComfyUIClient, deadline: Deadline, options: OutputOptions, prompt_id: str
) -> BridgeError:
    """The error for an outcome without wanted outputs; the request is at fault if other nodes have some."""
    all_nodes = dataclasses.replace(options, nodes=None, previews=True)
    others = list(dict.fromkeys(each.node_id for each in outputs_of(outcome, client, deadline, all_nodes)))
    if options.nodes is not None and others:
        wanted = " and ".join(options.nodes[:MOST_NAMED])
        return InvalidRequest(
            f"output.nodes names {wanted}, but the outputs are from {' and '.join(others[:MOST_NAMED])}.",
            prompt_id=prompt_id,
            field="output.nodes",
        )
    return NoOutput(" ".join([_sentence(outcome), *outcome.warnings]), prompt_id=prompt_id)


def _sentence(outcome: Outcome) -> str:
    """A sentence that says that nothing can be returned, and what the nodes show instead."""
    if outcome.outputs:
        shown = [f"{_named(each.node_id, each.class_type)} shows {_keys(each.output)}" for each in outcome.outputs]
        return (
            "The prompt finished, and none of its nodes' outputs is a file or a text that can be returned: "
            f"{_row(shown)}."
        )
    if outcome.silent:
        silent = [_named(node, class_type) for node, class_type in outcome.silent.items()]
        return f"The prompt finished, and none of its nodes has an output: {_row(silent)} has none."
    return "The prompt finished, and none of its nodes has an output."


def _named(node_id: str, class_type: str) -> str:
    return f"node {clip(node_id)} ({clip(class_type)})" if class_type else f"node {clip(node_id)}"


def _keys(output: Mapping[str, Any]) -> str:
    return _row(
        [
            f"{clip(str(key))} (empty)" if value in ([], "", {}, None) else clip(str(key))
            for key, value in output.items()
        ]
    )


def _row(texts: list[str]) -> str:
    rest = len(texts) - MOST_NAMED
    return " and ".join(texts[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
