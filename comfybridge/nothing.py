"""What is said of a prompt that finished and has nothing to show."""

from __future__ import annotations

import dataclasses

from comfybridge.comfyui.client import ComfyUIClient
from comfybridge.comfyui.outcome import Outcome
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, InvalidRequest, NoOutput
from comfybridge.outputs import outputs_of
from comfybridge.request import OutputOptions

MOST_NAMED = 20


def nothing_to_show(
    outcome: Outcome, client: ComfyUIClient, deadline: Deadline, options: OutputOptions, prompt_id: str
) -> BridgeError:
    """The error of an outcome that has no outputs of the wanted ones: the request's own if others have any."""
    all_nodes = dataclasses.replace(options, nodes=None, previews=True)
    others = list(dict.fromkeys(each.node_id for each in outputs_of(outcome, client, deadline, all_nodes)))
    if options.nodes is not None and others:
        wanted = " and ".join(options.nodes[:MOST_NAMED])
        return InvalidRequest(
            f"output.nodes names {wanted}, but what the graph has to show is of {' and '.join(others[:MOST_NAMED])}.",
            prompt_id=prompt_id,
        )
    sentence = "The prompt finished, and none of its nodes has anything to show."
    return NoOutput(" ".join([sentence, *outcome.warnings]), prompt_id=prompt_id)
