"""References to assets in a graph: `{"__type": "core/ASSET", "info": {"id": ...}}` where a file name would stand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from PIL import Image

from comfybridge.assets.asset import Asset
from comfybridge.assets.assets import Assets
from comfybridge.assets.errors import ContentGone, UnknownAsset
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError, ComfyUIUnreachable, InvalidRequest, MissingAsset, TimedOut
from comfybridge.files.inputs import IMAGE_LOADERS, POSTSCRIPT
from comfybridge.files.stored import SUBFOLDER, StoredInput
from comfybridge.media import image_size, media_type_of
from comfybridge.request import InputFile
from comfybridge.web.current import current_assets, current_bridge, current_rights
from comfybridge.workflow.graph import DEEPEST
from comfybridge.workflow.wording import clip

TYPE = "core/ASSET"
LOOK_SECONDS = 5.0  # at most, to look whether the bytes are there; where that can't be told, the run of the job tells
BEGINNING = 256 * 1024  # bytes of a picture, which nearly always have its size


def resolve(graph: dict[str, Any], owner: str | None) -> tuple[dict[str, Any], tuple[InputFile, ...]]:
    """A graph with file names in the place of its references, and the files of these names.

    Args:
        owner: the name of the caller's API key.

    Raises:
        MissingAsset: a reference is malformed, or there is no such asset of the caller's, or its bytes are gone.
        InvalidRequest: an asset is for an input that takes pictures, and is none.
        Forbidden: a picture is larger than the caller may send.
        EngineUnreachable
    """
    resolved, files = dict(graph), dict[str, InputFile]()
    for node_id, node in graph.items():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        if not isinstance(inputs, dict):
            continue
        changed = {}
        for name, value in inputs.items():
            if any(_references(value)):
                changed[name] = _Input(node_id, node, name, owner, files).resolved(value)
        if changed:
            resolved[node_id] = {**node, "inputs": {**inputs, **changed}}
    return resolved, tuple(files.values())


def _references(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The references in a value."""
    if isinstance(value, dict):
        if value.get("__type") == TYPE:
            yield value
            return
        value = value.values()
    elif not isinstance(value, list):
        return
    if depth < DEEPEST:  # deeper graphs are refused
        for each in value:
            yield from _references(each, depth + 1)


class _Input:
    """An input of a node with references.

    Args:
        files: by name, those that were found before; is added to.
    """

    def __init__(
        self, node_id: str, node: dict[str, Any], name: str, owner: str | None, files: dict[str, InputFile]
    ) -> None:
        self._node_id = node_id
        self._class_type = str(node.get("class_type"))
        self._name = name
        self._owner = owner
        self._files = files

    def resolved(self, value: Any) -> Any:
        """A value with names in the place of references."""
        if isinstance(value, list):
            return [self.resolved(each) for each in value]
        if not isinstance(value, dict):
            return value
        if value.get("__type") == TYPE:
            return self._named(value)
        return {key: self.resolved(each) for key, each in value.items()}

    def _named(self, reference: dict[str, Any]) -> str:
        info = reference.get("info")
        asset_id = info.get("id") if isinstance(info, dict) else None
        if not isinstance(asset_id, str):
            raise self._missing("is a reference to an asset without the id of one")
        try:
            asset = current_assets().find(asset_id, self._owner)
        except UnknownAsset:
            unknown = "which does not exist, or is no longer kept"
            raise self._missing(f"refers to the asset {clip(asset_id)}, {unknown}") from None
        try:
            return self._file(asset).name
        except ContentGone:
            again = "upload it again" if asset.job_id is None else "run its job again"
            raise self._missing(f"refers to {_shown(asset)}, whose bytes are gone; {again}") from None

    def _file(self, asset: Asset) -> InputFile:
        name, content = f"{SUBFOLDER}/{asset.content.name}", asset.content
        assets = current_assets()
        if content.text is not None:
            file = InputFile(name, content.text)
        else:
            file = StoredInput(
                name,
                place=assets.place_of(asset),
                size=content.size,
                shown=asset.file_path or asset.id,
                open_place=lambda _: _chunks(assets, asset),
            )
        if name not in self._files:
            with contextlib.suppress(ComfyUIUnreachable, ComfyUIError, TimedOut):
                assets.check_is_there(asset, Deadline(LOOK_SECONDS))
        with contextlib.suppress(ComfyUIUnreachable, ComfyUIError, TimedOut):
            self._check_picture(asset, assets)
        return self._files.setdefault(name, file)

    def _check_picture(self, asset: Asset, assets: Assets) -> None:
        """Refuse what no node may open as a picture, and pictures that are too large."""
        is_loaded = self._class_type in IMAGE_LOADERS and self._name == "image"
        rights, name = current_rights(), asset.content.name
        if not is_loaded and media_type_of(name)[1] != "image":
            return
        data = _begin(assets, asset, BEGINNING)
        size = image_size(data)
        if size is None and len(data) < asset.content.size:
            data = _begin(assets, asset, current_bridge().settings.max_upload_bytes)
            size = image_size(data)
        if is_loaded and (size is None or data.startswith(POSTSCRIPT)):
            raise InvalidRequest(f"{self._where} refers to {_shown(asset)}, which is not a picture.")
        if size is not None and size[0] * size[1] > (Image.MAX_IMAGE_PIXELS or float("inf")):
            raise InvalidRequest(f"{self._where} refers to {_shown(asset)}, which has too many pixels.")
        if rights is not None:
            rights.check_file(InputFile(asset.file_path, data))

    @property
    def _where(self) -> str:
        return f"Node {clip(self._node_id)} ({clip(self._class_type)}): {clip(self._name)}"

    def _missing(self, what: str) -> MissingAsset:
        sentence = f"{self._where} {what}."
        told = {
            "type": MissingAsset.type,
            "message": sentence,
            "details": "",
            "extra_info": {"input_name": self._name},
        }
        node = {"class_type": self._class_type, "dependent_outputs": [], "errors": [told]}
        return MissingAsset(sentence, field=f"{self._node_id}.{self._name}", node_errors={self._node_id: node})


def _shown(asset: Asset) -> str:
    return f"the asset {clip(asset.file_path or asset.id)}"


def _begin(assets: Assets, asset: Asset, most: int) -> bytes:
    """The first bytes of an asset."""
    with assets.open(asset, Deadline(LOOK_SECONDS), 0, min(most, asset.content.size)) as file:
        return file.fetch()


def _chunks(assets: Assets, asset: Asset) -> Iterator[bytes]:
    """The bytes of an asset. Raises LookupError if they are gone."""
    try:
        with assets.open(asset, Deadline(current_bridge().settings.timeout)) as file:
            yield from file
    except ContentGone:
        raise LookupError("the bytes are gone") from None
