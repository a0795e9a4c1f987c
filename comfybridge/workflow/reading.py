"""Reads a template's files strictly: content that two readers could understand differently is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from comfybridge.errors import InvalidWorkflow
from comfybridge.workflow.wording import clip

LARGEST_GRAPH = 8 * 1024 * 1024
LARGEST_YAML = 256 * 1024  # PyYAML reads some 100 kB a second, and requests wait for it


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InvalidWorkflow: why it can't be read; names the file, never its folder.
    """
    text = _read_text(path, LARGEST_GRAPH)
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _unreadable(path, f"it is not JSON: {error.msg} in line {error.lineno}") from None
    except _Refused as error:
        raise _unreadable(path, str(error)) from None
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise _unreadable(path, "it has a number that is too large") from None
    except RecursionError:
        raise _unreadable(path, "it is nested too deeply") from None


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; raises as `read_json` does."""
    text = _read_text(path, LARGEST_YAML)
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _unreadable(path, f"it is not YAML: {clip(error.problem)}{line}") from None
    except yaml.YAMLError:
        raise _unreadable(path, "it is not YAML: it has a character that YAML does not allow") from None
    except RecursionError:
        raise _unreadable(path, "it is nested too deeply") from None
    except (ValueError, TypeError, ArithmeticError, AttributeError, LookupError):  # PyYAML does not catch these
        raise _unreadable(path, "it has a value that YAML does not allow") from None


class _Refused(Exception):
    """The reason, worded to follow "can't be read"."""


def _read_text(path: Path, largest: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or "the system refused") from None
    if len(data) > largest:
        raise _unreadable(path, f"it is larger than {largest} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(path, "it is not UTF-8") from None


def _unreadable(path: Path, reason: str) -> InvalidWorkflow:
    return InvalidWorkflow(f"{path.name} can't be read: {reason}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name in items if counts[name] > 1)
        raise _Refused(f"the key {clip(twice)} occurs twice in one object")
    return items


def _refuse_constant(name: str) -> NoReturn:
    raise _Refused(f"it holds {name}, which is not a JSON number")


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, except that it refuses a repeated key instead of taking the last one.

    Merge keys (`<<`) are refused too: YAML 1.2 has none, and nested ones can grow beyond all memory.
    """

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, "merge keys (<<) are not supported", key.start_mark
                )
        super().flatten_mapping(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {clip(key.value)} occurs twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)
