"""What pydantic accepts for a value, in plain words."""

from __future__ import annotations

from typing import Any

KINDS = {
    "string_type": "a text",
    "string_too_short": "a text of one or more characters",
    "dict_type": "an object",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "too_short": "a list of one or more",
}


def wanted(error: Any) -> str:
    """What a value must be, as the end of a sentence, for one of `ValidationError.errors()`.

    Our own validators provide it in their ValueError.
    """
    if error["type"] == "string_too_long":
        return f"a text of at most {error['ctx']['max_length']} characters"
    return KINDS.get(error["type"]) or str(error["msg"]).removeprefix("Input should be ").removeprefix(
        "Value error, "
    )
