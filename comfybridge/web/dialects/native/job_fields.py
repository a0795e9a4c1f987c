"""The fields of a job: those of a request, and what becomes of its result."""

from __future__ import annotations

import json
import re
from typing import Annotated

from pydantic import BeforeValidator, Field, StrictStr, WithJsonSchema

from comfybridge.errors import InvalidRequest
from comfybridge.jobs.states import Wishes
from comfybridge.jobs.webhook_urls import check_webhook
from comfybridge.policy.job_terms import HIGHEST, LOWEST
from comfybridge.settings import Settings
from comfybridge.web.dialects.native.form_schema import GenerateFields, GenerateForm
from comfybridge.web.dialects.native.schemas import GenerateBody
from comfybridge.web.parsing.lenient import Number, whole

MOST_LABELS = 16
LABEL_NAME = "[A-Za-z0-9_.-]{1,40}"
LONGEST_LABEL = 256

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _labels(value: object) -> object:
    if value is None:
        return value
    if not isinstance(value, dict) or not all(isinstance(each, (str, int, float)) for each in value.values()):
        raise ValueError('an object of texts, such as {"project": "lighthouse"}')
    if len(value) > MOST_LABELS or not all(re.fullmatch(LABEL_NAME, str(name)) for name in value):
        raise ValueError(f"at most {MOST_LABELS} labels with names of up to 40 letters, digits, _, . and -")
    texts = {name: each if isinstance(each, str) else json.dumps(each) for name, each in value.items()}
    if any(len(each) > LONGEST_LABEL or _UNFIT.search(each) for each in texts.values()):
        raise ValueError(f"texts of up to {LONGEST_LABEL} characters on one line")
    return texts


Labels = Annotated[
    dict[str, str],
    BeforeValidator(_labels),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MOST_LABELS,
            "propertyNames": {"pattern": f"^{LABEL_NAME}$"},
            "additionalProperties": {"type": "string", "maxLength": LONGEST_LABEL},
        }
    ),
]


class _JobFields(GenerateBody):
    webhook: StrictStr | None = Field(None, description="the URL that the end of the job is reported to")
    priority: Annotated[int, Field(strict=True, ge=LOWEST, le=HIGHEST), BeforeValidator(whole)] | None = Field(
        None, description="from 0 to 2; jobs of 2 run first; 1 if not given"
    )
    expires: Number | None = Field(None, ge=1, description="seconds that the result is kept after the job has ended")
    labels: Labels | None = Field(
        None, description="names and values of your own, by which GET /jobs finds the job", examples=[{}]
    )


class JobBody(_JobFields):
    """The JSON body of `POST /jobs`."""


class JobFields(_JobFields, GenerateFields):
    """The fields of a form without files, each a text. `output.format` and `labels.x` name a field within one."""


class JobForm(_JobFields, GenerateForm):
    """The fields of a form, each a text. `output.format` and `labels.x` name a field within one."""


class LaterBody(GenerateBody):
    """The body of a `POST /generate` that may ask for an answer later, as ComfyLite's callers do."""

    webhook_url: StrictStr | None = Field(None, description="the URL that the result is sent to")


def wishes_of(fields: JobBody, settings: Settings, base_url: str) -> Wishes:
    """What the fields ask of the job itself.

    Raises:
        InvalidRequest: the webhook is no URL that may be called, or the result would be kept too long.
    """
    if fields.webhook is not None:
        check_webhook(fields.webhook, settings)
    most = settings.job_expires
    if fields.expires is not None and fields.expires > most:
        raise InvalidRequest(
            f"expires is {fields.expires:g}; it must be from 1 to {most:g} seconds.", field="expires"
        )
    return Wishes(
        webhook=fields.webhook,
        priority=fields.priority,
        expires=fields.expires,
        labels=fields.labels or {},
        base_url=base_url,
    )
