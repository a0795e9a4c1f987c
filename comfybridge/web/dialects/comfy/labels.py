"""The labels of jobs, `metadata`: their rules, and the filters of a list, `metadata[NAME]=VALUE`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from comfybridge.web.dialects.comfy.errors import Malformed, MetadataInvalid

MOST, MOST_FILTERS = 16, 3
NAME = "[A-Za-z0-9_.-]{1,40}"
LONGEST = 256  # bytes of a value
NAME_RULE = "a name has 1 to 40 letters, digits, dots, _ and -"
INVALID_FILTER = "invalid_metadata_filter"

_FILTER = re.compile(r"metadata\[(.*)\]", re.DOTALL)
# control characters, and marks that change the direction of writing
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def check_labels(labels: dict[str, object]) -> dict[str, str]:
    """The labels of a new job.

    Raises:
        MetadataInvalid: there are too many, or one has a form that labels cannot have.
    """
    if len(labels) > MOST:
        raise MetadataInvalid(f"metadata has {len(labels)} labels; it may have {MOST}.", field="metadata")
    return {name: _checked(name, value) for name, value in labels.items()}


def filters_in(query: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The names and values that the jobs of a list must have.

    Raises:
        Malformed: a filter could match no label, or there are too many.
    """
    filters: dict[str, str] = {}
    for key, value in query:
        if not key.startswith("metadata"):
            continue
        match = _FILTER.fullmatch(key)
        if match is None or not re.fullmatch(NAME, match[1]):
            said = f"{key[:60]!r} is no filter; one is metadata[NAME]=VALUE, where {NAME_RULE}."
            raise Malformed(said, INVALID_FILTER)
        if match[1] in filters:
            raise Malformed(f"metadata[{match[1]}] is there twice.", INVALID_FILTER)
        if len(value.encode()) > LONGEST or _UNFIT.search(value):
            raise Malformed(f"metadata[{match[1]}] has a value that no label can have.", INVALID_FILTER)
        filters[match[1]] = value
    if len(filters) > MOST_FILTERS:
        raise Malformed(f"There are {len(filters)} filters; {MOST_FILTERS} are allowed.", INVALID_FILTER)
    return list(filters.items())


def _checked(name: str, value: object) -> str:
    shown = repr(name[:60])
    if not re.fullmatch(NAME, name):
        raise MetadataInvalid(f"metadata has the label {shown}; {NAME_RULE}.", field="metadata")
    if not isinstance(value, str):
        raise MetadataInvalid(f"The label {shown} of metadata must be a string.", field="metadata")
    if len(value.encode()) > LONGEST:
        raise MetadataInvalid(f"The label {shown} of metadata has more than {LONGEST} bytes.", field="metadata")
    if _UNFIT.search(value):
        said = f"The label {shown} of metadata has a control character, or one that changes the direction of writing."
        raise MetadataInvalid(said, field="metadata")
    return value
