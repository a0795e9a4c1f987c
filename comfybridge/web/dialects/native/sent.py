"""What a request has sent, whatever its body is: JSON, a form with files or without, or a picture with a graph."""

from __future__ import annotations

from flask import request

from comfybridge.media import file_extension
from comfybridge.settings import Settings
from comfybridge.web.dialects.native.envelopes import WORKFLOW
from comfybridge.web.dialects.native.form import Form, graph_in, read_form
from comfybridge.web.dialects.native.schemas import GenerateBody
from comfybridge.web.dialects.native.urlencoded import is_urlencoded, read_urlencoded, unescaped
from comfybridge.web.parsing.body import read_json
from comfybridge.web.parsing.body_stream import BodyStream
from comfybridge.web.parsing.charsets import charset_of
from comfybridge.web.parsing.multipart import is_multipart


def read_sent(settings: Settings, model: type[GenerateBody] = GenerateBody) -> Form:
    """The fields and the files of the current request.

    Args:
        model: the model of the body, which has the fields.

    Raises:
        InvalidRequest, InvalidWorkflow, TooLarge, UnsupportedMediaType: its body can't be read.
    """
    if is_multipart(request):
        return read_form(request, settings.max_json_bytes, settings.max_upload_bytes, model)
    charset = charset_of(request)
    raw = BodyStream(request, settings.max_json_bytes, "one without files may have").read_all()
    if is_urlencoded(request, raw):
        return Form(read_urlencoded(raw, charset, model), [])
    if file_extension(raw) is not None:
        return Form({WORKFLOW: graph_in(raw, "The body")}, [])
    return Form(read_json(unescaped(request, raw), charset), [])
