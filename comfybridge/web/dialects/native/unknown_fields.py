"""Explains an unknown field: it may be a parameter of the workflow, in the wrong place."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence

from comfybridge.web.parsing.sentences import LONGEST_VALUE, OfUnknown, near_to

OF_JOBS = ("webhook", "priority", "expires", "labels")

# returns the names of a template's parameters, by its name (None: the default template); empty if there is none
ParametersOf = Callable[["str | None"], Collection[str]]


def of_unknown(workflow: object, parameters_of: ParametersOf) -> OfUnknown:
    """What `sentences.sentence` should say about unknown fields.

    Args:
        workflow: the value of that field.
    """

    def said(name: str, value: object, beside: Sequence[str]) -> str | None:
        is_parameter = not isinstance(workflow, dict) and name in parameters_of(
            workflow if isinstance(workflow, str) else None
        )
        is_input = "." in name and "." not in beside[0]  # as in 3.steps, but not in output.formt
        if is_parameter or is_input:
            shown = json.dumps(value) if isinstance(value, (str, int, float)) else "..."
            shown = shown if len(shown) <= LONGEST_VALUE else "..."
            return f'Put {name[:100]} into params: {{"params": {{{json.dumps(name[:100])}: {shown}}}}}.'
        if name in OF_JOBS:
            return f"{name} is a field of POST /jobs, which takes all others too and answers later."
        if near_to(name, beside) is not None:
            return None
        return (
            f"Unknown field {name[:100]!r}; parameters of the workflow go into params, and the fields are "
            f"{', '.join(beside)}."
        )

    return said
