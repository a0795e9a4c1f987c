"""What comes and goes about an asset, as JSON and as fields of a form."""

from __future__ import annotations

import re
import time
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import NotRequired, TypedDict  # pydantic supports the one in typing only from Python 3.12 on

from comfybridge.assets.asset import Asset
from comfybridge.assets.digest import parse_hash
from comfybridge.errors import InvalidRequest
from comfybridge.files.names import leads_elsewhere
from comfybridge.web.current import base_url
from comfybridge.web.dialects.comfy.blueprint import PREFIX
from comfybridge.web.times import time_text
from comfybridge.workflow.wording import clip

DAY = 24 * 3600
LEAST_SECONDS, MOST_SECONDS = 60, 7 * DAY
LONGEST_PATH = 255
MODELS = "models"
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_CONTENT_TYPE = r"[A-Za-z0-9.+_-]+/[A-Za-z0-9.+_-]+(;[ -~]*)?"


def _content_type(value: str) -> str:
    if not re.fullmatch(_CONTENT_TYPE, value):
        raise ValueError("a media type, such as image/png")
    return value


ContentType = Annotated[
    str,
    Field(max_length=200, json_schema_extra={"pattern": f"^{_CONTENT_TYPE}$"}),
    AfterValidator(_content_type),
]
Path = Annotated[str, Field(min_length=1, max_length=LONGEST_PATH, description="its name, with or without folders")]
ExpiresIn = Annotated[int, Field(ge=LEAST_SECONDS, le=MOST_SECONDS, description="seconds for which it is kept")]


class AssetFields(BaseModel):
    """The fields of an upload, but for its file."""

    model_config = ConfigDict(extra="ignore")

    content_type: ContentType
    file_path: Path
    expected_hash: str | None = Field(None, description="`blake3:HEX`, which the bytes must have")
    expires_in: ExpiresIn | None = None


class AssetForm(AssetFields):
    """An upload. Its file may come last, or before the fields."""

    tags: list[str] = Field([], description="have no effect")
    file: bytes


class HashRequest(BaseModel):
    """Bytes that were uploaded before."""

    model_config = ConfigDict(extra="ignore", strict=True)

    hash: str = Field(description="`blake3:HEX`")
    file_path: Path | None = None
    tags: list[str] = Field([], description="have no effect")
    expires_in: ExpiresIn | None = None


class AssetBody(TypedDict):
    """A file that was uploaded, or that a job has made."""

    id: str
    hash: Annotated[str | None, Field(description="`blake3:HEX`; null if unknown")]
    size_bytes: int
    content_type: str
    file_path: str | None
    created_new: NotRequired[Annotated[bool, Field(description="whether you had no such bytes before")]]
    created_at: str
    url: Annotated[str, Field(description="GET: its content")]
    url_expires_at: str
    expires_at: Annotated[str | None, Field(description="null: kept until it is deleted")]
    job_id: NotRequired[Annotated[str | None, Field(description="the job that has made it")]]


def asset_body(asset: Asset, base: str | None = None) -> AssetBody:
    """The JSON of an asset.

    Args:
        base: `base_url()`, where there is no request.
    """
    expires = asset.expires
    body: AssetBody = {
        "id": asset.id,
        "hash": asset.content.hash,
        "size_bytes": asset.content.size,
        "content_type": asset.content_type,
        "file_path": asset.file_path,
        "created_at": time_text(asset.created),
        "url": f"{base_url() if base is None else base}{PREFIX}/assets/{asset.id}/content",
        "url_expires_at": time_text(time.time() + DAY if expires is None else expires),
        "expires_at": None if expires is None else time_text(expires),
    }
    if asset.job_id is not None:
        body["job_id"] = asset.job_id
    return body


def check_path(path: str) -> str:
    """The name of an upload.

    Raises:
        InvalidRequest: it is none, or is for a model.
    """
    parts = path.split("/")
    if leads_elsewhere(path) or _UNPRINTED.search(path) or any(part.strip() in ("", ".") for part in parts):
        raise InvalidRequest(f"file_path is {clip(path)}; it must be the name of a file, without '..' or a root.")
    if parts[0] == MODELS:
        raise InvalidRequest(
            "file_path is below models/; ComfyUI takes no models over HTTP, put them in its folders."
        )
    return path


def check_hash(name: str, text: str) -> str:
    """A hash that a caller has sent, as the bridge writes it.

    Raises:
        InvalidRequest: it is none.
    """
    hash = parse_hash(text)
    if hash is None:
        raise InvalidRequest(f"{name} is {clip(text)}; it must be blake3: and 64 hexadecimal digits.")
    return hash
