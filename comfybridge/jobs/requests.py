"""An admitted request as bytes, for an agent that runs it later and elsewhere.

All that its prompt depends on goes along: the template's own files, the owner's policy, and those settings of the
bridge that a request may override. Files go beside it, as blobs. Fields that a later version adds are ignored.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from comfybridge.bridge import Bridge
from comfybridge.deadline import Deadline
from comfybridge.errors import MissingAsset
from comfybridge.files.sent import LinkedFile
from comfybridge.files.stored import InEngine, OpenPlace, StoredInput, is_output, place_from_dict, place_to_dict
from comfybridge.jobs.job import input_blob
from comfybridge.jobs.secret_data import split
from comfybridge.policy.policy import Policy
from comfybridge.policy.rights import Rights
from comfybridge.prompts.admitted import Admitted
from comfybridge.request import GenerationRequest, InputFile, OutputOptions
from comfybridge.workflow.graph import check_graph
from comfybridge.workflow.named import named_template
from comfybridge.workflow.parameter_file import ParameterFile
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted
from comfybridge.workflow.wording import clip

TEMPLATES_KEPT = 64


@dataclass(frozen=True)
class Packed:
    """A request as it is stored.

    Attributes:
        data: all but its input files.
        files: the bytes of the input files that go along, each under the name of its blob.
        reads: the ids of the uploads in the engine that it reads there.
        secrets: the values of `extra_data` that must never be on a disk.
    """

    data: bytes
    files: tuple[tuple[str, Iterable[bytes]], ...]
    reads: tuple[str, ...]
    secrets: Mapping[str, Any]


def pack(admitted: Admitted, bridge: Bridge, blobs: str = "") -> Packed:
    """A request for an agent.

    Args:
        bridge: the one that admitted it.
        blobs: how the names of its blobs end.

    Raises:
        UnknownWorkflow, BrokenWorkflow: its template is not there any more.
    """
    asked, settings, rights = admitted.asked, bridge.settings, admitted.rights
    plain, secrets = split(asked.extra_data)
    files: list[tuple[str, Iterable[bytes]]] = []
    name = asked.template_name(settings.default_workflow)
    told: dict[str, Any] = {
        **{each.name: getattr(asked, each.name) for each in fields(asked)},
        "output": vars(asked.output),
        "extra_data": plain,
        "images": [
            _file_to_dict(each, files, input_blob(len(files), blobs), admitted, is_near=settings.engine is None)
            for each in asked.images
        ],
        "dynamic_texts": settings.dynamic_texts if asked.dynamic_texts is None else asked.dynamic_texts,
    }
    if name is not None:
        told["workflow"] = name
    packed = {
        "request": told,
        "template": None if name is None else _template_to_text(bridge.library.get(name)),
        "owner": admitted.owner,
        "who": None if rights is None else rights.who,
        "policy": None if rights is None else rights.policy.model_dump(mode="json", exclude={"rate"}),
        "fingerprint": admitted.fingerprint,
    }
    places = [each.place for each in asked.images if isinstance(each, StoredInput)]
    reads = tuple(each.id for each in places if isinstance(each, InEngine) and not is_output(each))
    return Packed(json.dumps(packed).encode(), tuple(files), reads, secrets)


def unpack(
    data: bytes,
    read_file: Callable[[str], bytes],
    open_place: OpenPlace,
    *,
    prompt_id: str,
    seconds: float,
    is_followed: bool = False,
    is_repeat: bool = False,
) -> Admitted:
    """The request that `pack` made bytes of, as an agent submits it.

    Args:
        read_file: the content of a blob.
        open_place: opens the bytes of stored files.
        prompt_id: the id that its prompt gets.
        seconds: how long it may take from now on.
        is_followed: whether someone follows the events of its prompt.
        is_repeat: whether a ComfyUI may have its prompt already.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: they are of something else.
    """
    packed = json.loads(data)
    told, template = packed["request"], packed.get("template")
    given = _known(GenerationRequest, told)
    output = _known(OutputOptions, given.get("output") or {})
    if output.get("nodes") is not None:
        output["nodes"] = tuple(output["nodes"])
    given["output"] = OutputOptions(**output)
    given["images"] = [_file_of(each, read_file, open_place) for each in told.get("images") or ()]
    policy = packed.get("policy")
    if policy is not None:
        policy = Policy(**{name: value for name, value in policy.items() if name in Policy.model_fields})
    return Admitted(
        asked=GenerationRequest(**given),
        owner=packed.get("owner"),
        rights=None if policy is None else Rights(packed["who"], policy),
        deadline=Deadline(seconds),
        fingerprint=packed.get("fingerprint"),
        is_followed=is_followed,
        prompt_id=prompt_id,
        workflow=None if template is None else _template_of(template),
        is_repeat=is_repeat,
    )


def _known(kind: type, told: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that a dataclass of this version has."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in told.items() if name in names}


def _file_to_dict(
    file: InputFile, files: list[tuple[str, Iterable[bytes]]], blob: str, admitted: Admitted, *, is_near: bool
) -> dict[str, Any]:
    """A file as JSON; its bytes are added to the others, if they go along.

    Args:
        blob: the name that they then have.
        is_near: whether only an agent of the bridge itself runs the job, which may read whatever is in the engine.
    """
    if isinstance(file, LinkedFile):
        return {"name": file.name, "url": file.url}
    if isinstance(file, StoredInput):
        place = file.place
        if isinstance(place, InEngine) and is_output(place) and not is_near:
            files.append((blob, _still_there(file)))
            place = InEngine(str(admitted.prompt_id), blob)
        return {"name": file.name, "place": place_to_dict(place), "size": file.size, "shown": file.shown}
    if file.data:
        files.append((blob, [file.data]))
    return {"name": file.name, "blob": blob if file.data else None}


def _still_there(file: StoredInput) -> Iterable[bytes]:
    try:
        yield from file.chunks()
    except LookupError:
        raise MissingAsset(f"The bytes of the asset {clip(file.shown)} are gone.") from None


def _file_of(told: Mapping[str, Any], read_file: Callable[[str], bytes], open_place: OpenPlace) -> InputFile:
    if told.get("url"):
        return LinkedFile(told["name"], url=told["url"])
    if told.get("place"):
        place = place_from_dict(told["place"])
        return StoredInput(told["name"], place=place, size=told["size"], shown=told["shown"], open_place=open_place)
    return InputFile(told["name"], read_file(told["blob"]) if told.get("blob") else b"")


def _template_to_text(workflow: Template | Unconverted) -> str:
    """A template's own files."""
    told: dict[str, Any] = {"name": workflow.name}
    if isinstance(workflow, Unconverted):
        told["file"] = workflow.file
    else:
        told["graph"] = workflow.graph
    beside = workflow.parameter_file
    if beside is not None:
        told["parameter_file"] = {"name": beside.name, "content": beside.content}
    return json.dumps(told, default=str)  # YAML may have dates, where they mean nothing


@functools.lru_cache(maxsize=TEMPLATES_KEPT)  # also because what a server makes of one is cached by its identity
def _template_of(text: str) -> Template | Unconverted:
    told = json.loads(text)
    written = told.get("parameter_file")
    beside = None if written is None else ParameterFile(written["name"], written["content"])
    if "file" in told:
        return replace(Unconverted.of(told["file"]), name=told["name"], parameter_file=beside)
    return named_template(told["name"], check_graph(told["graph"]), beside)
