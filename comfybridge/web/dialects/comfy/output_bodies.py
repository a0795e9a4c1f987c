"""The JSON of outputs, as types and from the states of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.assets.asset import Asset
from comfybridge.assets.outputs import output_asset, outputs_in
from comfybridge.jobs.states import State
from comfybridge.web.current import base_url
from comfybridge.web.dialects.comfy.blueprint import PREFIX
from comfybridge.web.times import time_text

OutputType = Literal["image", "video", "audio", "text", "file", "latent"]


class ComfyOutput(TypedDict):
    """A file or a text that a job has made."""

    node_id: Annotated[str, Field(description="the node that made it")]
    name: str
    type: OutputType
    content_type: str
    size_bytes: int
    id: Annotated[str, Field(description="its id as an asset")]
    hash: Annotated[str | None, Field(description="`blake3:HEX`; null if unknown")]
    url: Annotated[str, Field(description="GET: its content")]
    url_expires_at: str
    job_id: NotRequired[str | None]


KINDS: dict[str, OutputType] = {"image": "image", "video": "video", "audio": "audio", "text": "text"}


def outputs_of(state: State, base: str | None = None) -> list[ComfyOutput]:
    """The outputs of a job that has ended.

    Args:
        base: `base_url()`, where there is no request.
    """
    result = state.result
    if result is None:
        return []
    asset_url = f"{base_url() if base is None else base}{PREFIX}/assets"
    return [
        _output(output_asset(result, number, told), told, asset_url) for number, told in enumerate(outputs_in(result))
    ]


def _output(asset: Asset, told: Mapping[str, Any], asset_url: str) -> ComfyOutput:
    is_latent = asset.file_path.lower().endswith(".latent")
    return {
        "node_id": told["node_id"],
        "name": asset.file_path,
        "type": "latent" if is_latent else KINDS.get(told["kind"], "file"),
        "content_type": asset.content_type,
        "size_bytes": asset.content.size,
        "id": asset.id,
        "hash": asset.content.hash,
        "url": f"{asset_url}/{asset.id}/content",
        "url_expires_at": time_text(asset.expires or asset.created),
        "job_id": asset.job_id,
    }
