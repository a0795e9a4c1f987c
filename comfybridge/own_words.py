"""What logs say of an error without quoting its caller."""

from __future__ import annotations

import re

from comfybridge.errors import BridgeError, ExecutionFailed, NoOutput

NODE_FACTS = ("id", "class_type", "exception_type")
LONGEST_NAME = 100  # of a node, a class, an exception

# A quoted file name, whose beginning the caller chose. An apostrophe in a sentence never follows a space.
QUOTED = re.compile(r"(?<= )(['\"]).*\1")


def own_words(error: BridgeError) -> str | None:
    """The error without the caller's own words; None if it cannot be described without them."""
    if error.node is not None:  # its exception may quote its input
        node, class_type, type = (str(error.node.get(name))[:LONGEST_NAME] for name in NODE_FACTS)
        return f"Node {node} ({class_type}) raised {type}."
    # messages about a bad request quote it, and messages of nodes may be anything
    if error.status < 500 or isinstance(error, (ExecutionFailed, NoOutput)):
        return None
    return QUOTED.sub("...", error.message)
