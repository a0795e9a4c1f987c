"""The assets: what callers have uploaded, and what jobs have made."""

from __future__ import annotations

import contextlib
import json
from typing import Annotated

from flask import Response, jsonify, request
from pydantic import Field

from comfybridge.assets.asset import Asset
from comfybridge.assets.assets import Counting, Label
from comfybridge.assets.errors import AssetInUse, ContentGone, HashMismatch, UnknownAsset, UnknownContent
from comfybridge.errors import (
    Busy,
    ComfyUIError,
    ComfyUIUnreachable,
    EngineUnreachable,
    IdempotencyConflict,
    InvalidRequest,
    RateLimited,
    TimedOut,
    TooLarge,
    UnsupportedMediaType,
)
from comfybridge.web.current import (
    base_url,
    current_assets,
    current_bridge,
    current_owner,
    current_rights,
    request_deadline,
    whose_prompts,
)
from comfybridge.web.describing import BYTES, Answer, Variable, describes, json_answer
from comfybridge.web.dialects.comfy.asset_bodies import (
    AssetBody,
    AssetFields,
    AssetForm,
    HashRequest,
    asset_body,
    check_hash,
    check_path,
)
from comfybridge.web.dialects.comfy.asset_content import asset_content
from comfybridge.web.dialects.comfy.awake import awake
from comfybridge.web.dialects.comfy.blueprint import blueprint
from comfybridge.web.dialects.comfy.errors import Malformed, RangeNotSatisfiable
from comfybridge.web.dialects.comfy.uploads import upload_in
from comfybridge.web.marks import marked
from comfybridge.web.parsing.idempotency import HEADER, PATTERN, idempotency_key
from comfybridge.web.parsing.models import json_fields, validated
from comfybridge.web.parsing.multipart import MEDIA_TYPE

Created = tuple[Asset, bool]  # and whether its owner had no such bytes before

TAG = "Comfy API v2"
ASSET_ID = Variable("the asset's id", Annotated[str, Field(min_length=20, max_length=120)])
HASH = Variable("`blake3:HEX`")
KEY = Variable(
    "Any text of your own. A second upload with the key is refused for 24 hours.",
    Annotated[str, Field(min_length=1, max_length=255, pattern=f"^{PATTERN}$")],
    is_optional=True,
)
READING_ERRORS = (UnknownAsset, ContentGone, ComfyUIError, ComfyUIUnreachable, EngineUnreachable, TimedOut)
CREATED = {
    200: json_answer("The asset, of bytes that you had before.", AssetBody),
    201: json_answer("The new asset.", AssetBody),
}


@blueprint.post("/assets")
@marked(takes_upload=True)
@describes(
    tag=TAG,
    body={MEDIA_TYPE: AssetForm},
    headers={HEADER: KEY},
    answers=CREATED,
    raises=(
        InvalidRequest,
        HashMismatch,
        IdempotencyConflict,
        TooLarge,
        UnsupportedMediaType,
        RateLimited,
        Busy,
        ComfyUIError,
        ComfyUIUnreachable,
        EngineUnreachable,
        TimedOut,
    ),
)
def post_asset() -> Response:
    """Upload a file, which is never held in memory.

    Bytes that were uploaded before are not stored again; the asset has a name and a type of its own all the same.
    """
    key, owner, base, deadline = idempotency_key(request), current_owner(), base_url(), request_deadline()
    assets, counting = current_assets(), _counting()
    with contextlib.ExitStack() as held:
        upload = held.enter_context(upload_in(request, current_bridge().settings.max_asset_bytes))
        fields = validated(upload.fields, AssetFields)
        expected = None if fields.expected_hash is None else check_hash("expected_hash", fields.expected_hash)
        label = Label(check_path(fields.file_path), fields.content_type, fields.expires_in)
        file = held.pop_all()

    def add() -> Created:
        with file:
            return assets.add(upload.file, label, owner, deadline, expected_hash=expected, key=key, counting=counting)

    return awake(add, lambda made: _created(made, base), lambda made: json.dumps(_body(made, base)).encode(), 201)


@blueprint.post("/assets/from-hash")
@describes(
    tag=TAG,
    body={"application/json": HashRequest},
    answers=CREATED,
    raises=(
        Malformed,
        UnknownContent,
        TooLarge,
        UnsupportedMediaType,
        RateLimited,
        Busy,
        ComfyUIUnreachable,
        EngineUnreachable,
    ),
)
def post_asset_from_hash() -> Response:
    """Another asset with bytes that you have uploaded before, without sending them again."""
    try:
        sent = json_fields(request, current_bridge().settings.max_json_bytes, '{"hash": "blake3:..."}')
    except InvalidRequest as error:
        raise Malformed(error.message) from None
    fields = validated(sent, HashRequest)
    path = "" if fields.file_path is None else check_path(fields.file_path)
    hash, label = check_hash("hash", fields.hash), Label(path, expires_in=fields.expires_in)
    asset, is_new = current_assets().mint(hash, label, current_owner(), request_deadline(), _counting())
    response = jsonify({**asset_body(asset), "created_new": False})
    response.status_code = 201 if is_new else 200
    return response


@blueprint.post("/assets/from-path")
@describes(tag=TAG, answers={}, raises=(InvalidRequest,))
def post_asset_from_path() -> Response:
    """Refused: the bridge takes no files from the disk of its machine."""
    raise InvalidRequest("This bridge reads no files from its own disk; upload them with POST /api/v2/assets.")


@blueprint.route("/assets/by-hash/<hash>", methods=["HEAD"])
@describes(
    tag=TAG,
    path={"hash": HASH},
    answers=Answer("You have such bytes.", {}),
    raises=(UnknownContent, EngineUnreachable),
)
def head_asset_by_hash(hash: str) -> Response:
    """Whether you have uploaded bytes of that hash."""
    try:
        parsed = check_hash("the hash", hash)
    except InvalidRequest as error:
        raise UnknownContent(error.message) from None
    if not current_assets().has(parsed, current_owner(), request_deadline()):
        raise UnknownContent("There are no bytes of that hash that you have uploaded.")
    return Response()


@blueprint.get("/assets/<string(minlength=20):asset_id>")
@describes(
    tag=TAG,
    path={"asset_id": ASSET_ID},
    answers=json_answer("The asset.", AssetBody),
    raises=(UnknownAsset, EngineUnreachable),
)
def get_asset(asset_id: str) -> Response:
    """What an asset is: one that you have uploaded, or an output of a job."""
    return jsonify(asset_body(current_assets().find(asset_id, whose_prompts())))


@blueprint.get("/assets/<string(minlength=20):asset_id>/content")
@describes(
    tag=TAG,
    path={"asset_id": ASSET_ID},
    headers={"Range": Variable("the part that is enough", is_optional=True)},
    answers={
        200: Answer("The bytes.", {"*/*": BYTES}, headers={"ETag": "the same for the same bytes"}),
        206: Answer("Some of them.", {"*/*": BYTES}, headers={"Content-Range": "which"}),
        304: Answer("They are those of `If-None-Match`.", {}),
    },
    raises=(*READING_ERRORS, RangeNotSatisfiable),
)
def get_asset_content(asset_id: str) -> Response:
    """The bytes of an asset."""
    return asset_content(current_assets().find(asset_id, whose_prompts()))


@blueprint.delete("/assets/<string(minlength=20):asset_id>")
@describes(
    tag=TAG,
    path={"asset_id": ASSET_ID},
    answers={204: Answer("It is deleted.", {})},
    raises=(UnknownAsset, AssetInUse, EngineUnreachable),
)
def delete_asset(asset_id: str) -> tuple[str, int]:
    """Delete an asset. Its bytes stay while another asset has them, and in ComfyUI's input folder for good."""
    assets = current_assets()
    assets.delete(assets.find(asset_id, whose_prompts()))
    return "", 204


def _counting() -> Counting:
    """Counts an asset against what the current caller may make, while it is made."""
    rights = current_rights()
    return contextlib.nullcontext if rights is None else rights.counting_asset


def _created(made: Created, base: str) -> Response:
    response = jsonify(_body(made, base))
    response.status_code = 201 if made[1] else 200
    return response


def _body(made: Created, base: str) -> AssetBody:
    asset, is_new = made
    return {**asset_body(asset, base), "created_new": is_new}
