"""The settings: environment, `.env` and command line, each with one name and one home."""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from comfybridge.address import ServerAddress
from comfybridge.engine_address import EngineAddress, parse_engine_addresses
from comfybridge.errors import BridgeError
from comfybridge.keys import DEFAULT, ApiKey, parse_keys
from comfybridge.shipped import shipped
from comfybridge.tasks import TASKS, Task
from comfybridge.validation import wanted
from comfybridge.webhook_secrets import WebhookSecret, parse_webhook_secrets

PREFIX = "COMFYBRIDGE_"
ENV_FILE = ".env"
# These settings, and errors about them, may hold secrets, and are never shown.
SECRET = ("comfyui_url", "comfyui_headers", "api_keys", "link_key", "engine", "webhook_secrets")
# The APIs that the bridge speaks beside its own; those whose fields stand for parameters of templates.
FIELD_DIALECTS = ("openai", "automatic1111")
DIALECTS = (*FIELD_DIALECTS, "comfy")
OTHER_NAMES = {"a1111": "automatic1111"}
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
SHORTEST_LINK_KEY = 16
SHIPPED_WORKFLOWS = shipped("workflows")


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SettingsError(BridgeError, ValueError):
    """A setting has an invalid value; the message names the setting and says what is accepted."""

    type = "wrong_setting"


class Settings(BaseSettings):
    """All settings. Durations are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True
    )

    comfyui_url: str = Field(
        "http://127.0.0.1:8188",
        validation_alias=AliasChoices("comfyui_url", "COMFYUI_URL"),
        description="ComfyUI's address: http or https, with a path prefix and user:password@ if needed; separate "
        "several servers with commas",
        repr=False,
    )
    comfyui_headers: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("comfyui_headers", "COMFYUI_HEADERS"),
        description="headers for every call to ComfyUI: a JSON object, or one `Name: value` a line",
        repr=False,
    )
    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(8189, ge=0, le=65535, description="the port to listen on")
    api_keys: Annotated[tuple[ApiKey, ...], NoDecode] = Field(
        default_factory=tuple,
        description="the keys that callers must send, comma-separated: KEY, sha256:HASH, NAME=KEY or "
        "NAME=sha256:HASH; if empty, no key is required",
        repr=False,
    )
    policy_file: Path | None = Field(None, description="a YAML file with what the callers of each key may do")
    workflows_only: bool = Field(False, description="whether to refuse graphs and NODE.INPUT overrides")
    allow_anonymous: bool = Field(
        False, description="whether to accept callers of other machines without an API key, if there are no keys"
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=tuple,
        description="host names by which the bridge may be called, besides IP addresses and localhost, "
        "comma-separated; *: any",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=tuple,
        description="web sites whose pages may call the bridge, such as https://app.example, comma-separated; *: any",
    )
    dialects: Annotated[tuple[str, ...], NoDecode] = Field(
        DIALECTS,
        description="the APIs of other programs that the bridge speaks beside its own, comma-separated: "
        f"{' and '.join(DIALECTS)}; none: its own only",
    )
    page: bool = Field(
        True, description="whether to show people a page at /, /workflows and /stats; if not, / leads to /docs"
    )
    timeout: Seconds = Field(300, description="seconds for a request that gives no timeout")
    max_timeout: Seconds = Field(3600, description="the largest timeout that a request may give")
    wait: Literal["hub", "websocket", "poll"] = Field(
        "hub",
        description="how to wait for ComfyUI: hub (one websocket for all requests), websocket (one each) or poll",
    )
    keepalive: Annotated[float, Field(ge=0.1, allow_inf_nan=False)] | None = Field(
        None, description="seconds between the spaces that keep a proxy awake; off if not set"
    )
    workflows_dir: Path = Field(SHIPPED_WORKFLOWS, description="the folder of the templates")
    default_workflow: str = Field("txt2img", description="the template for requests that name none")
    tasks: Annotated[dict[Task, str], NoDecode] = Field(
        default_factory=dict,
        description="the template for a task of which a request names none, such as edit=qwen_edit,upscale=esrgan; "
        f"tasks are {', '.join(TASKS)}",
    )
    max_concurrent: int = Field(
        256, ge=1, le=10_000, description="how many requests may wait at once; more get a 503"
    )
    max_queue: Annotated[int, Field(ge=1)] | None = Field(
        None, description="how many prompts may wait or run on one ComfyUI; more get a 503; no limit if not set"
    )
    request_folders: bool = Field(
        True, description="whether to store each request's files in a folder of its own on ComfyUI's disk"
    )
    dynamic_texts: bool = Field(
        True,
        description="whether to replace {a|b} in prompts and dates in file names, as ComfyUI's editor does, for "
        "requests that do not say",
    )
    max_json_bytes: int = Field(32 * 1024 * 1024, ge=1, description="the largest JSON body")
    max_graph_bytes: int = Field(
        4 * 1024 * 1024, ge=1, description="the largest graph, as JSON, including its parameters"
    )
    max_upload_bytes: int = Field(
        100 * 1024 * 1024, ge=1, description="how many bytes the input files of one request may have together"
    )
    max_asset_bytes: int = Field(
        2 * 1024 * 1024 * 1024, ge=1, description="the largest file that may be uploaded as an asset"
    )
    max_total_body_bytes: int = Field(
        640 * 1024 * 1024,
        ge=1,
        description="how many bytes the bodies of all current requests may have together; bodies of at most 64 KB "
        "may use an eighth more; further requests get a 503",
    )
    fetch_timeout: Seconds = Field(20, description="seconds to fetch an input file from a URL")
    fetch_allow_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=tuple,
        description="hosts from which files may be fetched although they are not public: names, addresses and "
        "networks, comma-separated",
    )
    connect_timeout: Seconds = Field(5, description="seconds to connect to ComfyUI")
    read_timeout: Seconds = Field(30, description="seconds that ComfyUI may be silent within one call")
    caller_timeout: Seconds = Field(
        60, description="seconds that a caller may be silent within its request, or not read its answer"
    )
    shutdown_timeout: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None,
        description="seconds to wait for running requests on shutdown before their prompts are cancelled; "
        "max_timeout + 60 if not set",
    )
    cancel_on_hangup: bool = Field(
        True, description="whether to cancel the prompt when its caller hangs up before the answer"
    )
    public_url: str | None = Field(
        None,
        description="the address by which callers reach the bridge, for links to files, such as "
        "https://bridge.example/comfy; if not set, the one that each request names",
    )
    link_key: str | None = Field(
        None,
        description="the key that links to files are signed with, at least 16 characters; if not set, one is drawn "
        "and kept in the state folder",
        repr=False,
    )
    state_dir: Path | None = Field(
        None,
        description="the folder for what is kept beyond a restart; if not set, the user's own for the state of "
        "programs",
    )
    jobs: bool = Field(True, description="whether to accept jobs, whose results are fetched later")
    engine: str | None = Field(
        None,
        description="the address of the NATS server that keeps the jobs: nats, tls, ws or wss, with user:password@ "
        "or token@ if needed; separate the servers of a cluster with commas; if not set, the bridge starts its own",
        repr=False,
    )
    nats_server: Path | None = Field(
        None, description="the program nats-server, if not the one that is installed with the bridge"
    )
    max_jobs: int = Field(20_000, ge=1, description="how many jobs may wait or run at once; more get a 503")
    job_attempts: int = Field(
        3, ge=1, description="how often a job is begun, if the agent that runs it ends each time, before it fails"
    )
    job_expires: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        604_800, description="seconds that the result of a job is kept, and the most that a request may ask for"
    )
    job_disk_bytes: int = Field(
        10 * 1024 * 1024 * 1024,
        ge=64 * 1024 * 1024,
        description="how many bytes of jobs and their files the bridge's own engine may keep on disk; less if the "
        "disk has less",
    )
    agent_name: str | None = Field(
        None, description="the name of this machine's agent in logs and results; if not set, that of the machine"
    )
    agent_slots: Annotated[int, Field(ge=1)] | None = Field(
        None, description="how many jobs an agent runs at once; one for each ComfyUI if not set"
    )
    webhook_secrets: Annotated[tuple[WebhookSecret, ...], NoDecode] = Field(
        default_factory=tuple,
        description="the secrets that webhooks are signed with, comma-separated: NAME=whsec_..., where NAME is that "
        "of an API key, or default",
        repr=False,
    )
    webhook_inline_bytes: int = Field(
        1024 * 1024, ge=0, description="how many bytes of files a webhook may carry; larger ones are linked"
    )
    log_format: Literal["json", "text"] | None = Field(
        None, description="the format of the log: json or text; if not set, text on a terminal and json elsewhere"
    )
    log_prompts: bool = Field(False, description="whether to log prompts and other parameters of requests")
    metrics: bool = Field(True, description="whether to count requests and serve GET /metrics")

    @field_validator("comfyui_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        addresses = [ServerAddress.parse(each) for each in _split(url)]
        if not addresses:
            raise ValueError("must name a server, as in http://127.0.0.1:8188")
        if len({address.url for address in addresses}) < len(addresses):
            raise ValueError("names a server twice")
        return url

    @field_validator("comfyui_headers", mode="before")
    @classmethod
    def _parse_headers(cls, value: object) -> object:
        return parse_headers(value) if isinstance(value, str) else value

    @field_validator("tasks", mode="before")
    @classmethod
    def _parse_tasks(cls, value: object) -> object:
        return _by_task(value) if isinstance(value, str) else value

    @field_validator("fetch_allow_hosts", mode="before")
    @classmethod
    def _parse_hosts(cls, value: object) -> object:
        return _split(value) if isinstance(value, str) else value

    @field_validator("api_keys", mode="before")
    @classmethod
    def _parse_keys(cls, value: object) -> object:
        return parse_keys(value) if isinstance(value, str) else value

    @field_validator("webhook_secrets", mode="before")
    @classmethod
    def _parse_secrets(cls, value: object) -> object:
        return parse_webhook_secrets(value) if isinstance(value, str) else value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _parse_allowed_hosts(cls, value: object) -> object:
        return tuple(_host_name(each) for each in _split(value)) if isinstance(value, str) else value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _parse_origins(cls, value: object) -> object:
        return tuple(_origin(each) for each in _split(value)) if isinstance(value, str) else value

    @field_validator("dialects", mode="before")
    @classmethod
    def _parse_dialects(cls, value: object) -> object:
        return tuple(_dialect(each) for each in _split(value) if each != "none") if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, url: str | None) -> str | None:
        return None if url is None else _public_url(url)

    @field_validator("engine")
    @classmethod
    def _check_engine(cls, addresses: str | None) -> str | None:
        if addresses is not None:
            parse_engine_addresses(addresses)
        return addresses

    @field_validator("link_key")
    @classmethod
    def _check_link_key(cls, key: str | None) -> str | None:
        if key is not None and len(key) < SHORTEST_LINK_KEY:
            raise ValueError(f"must have at least {SHORTEST_LINK_KEY} characters")
        return key

    @property
    def shutdown_seconds(self) -> float:
        """How long to wait for running requests on shutdown."""
        # by default no request is cut off: none takes longer than the largest timeout and some time for its files
        return self.max_timeout + 60 if self.shutdown_timeout is None else self.shutdown_timeout

    @property
    def is_fleet(self) -> bool:
        """Whether all prompts run on agents: there is an engine's address, and none of a ComfyUI."""
        return self.engine is not None and "comfyui_url" not in self.model_fields_set

    @property
    def engine_addresses(self) -> list[EngineAddress]:
        """The parsed addresses of the engine's servers; none if the bridge starts its own."""
        return [] if self.engine is None else parse_engine_addresses(self.engine)

    @property
    def addresses(self) -> list[ServerAddress]:
        """The parsed addresses of the ComfyUI servers; none in a fleet, whose agents have them."""
        return (
            []
            if self.is_fleet
            else [ServerAddress.parse(each, self.comfyui_headers) for each in _split(self.comfyui_url)]
        )


def _split(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _by_task(text: str) -> dict[str, str]:
    pairs = [each.partition("=") for each in _split(text)]
    found = {task.strip(): name.strip() for task, _, name in pairs}
    if not all(found.values()) or not set(TASKS).issuperset(found) or len(found) < len(pairs):
        raise ValueError(f"TASK=TEMPLATE, comma-separated, each task once; tasks are {', '.join(TASKS)}")
    return found


def _host_name(text: str) -> str:
    name = text.lower().removesuffix(".")
    if name != "*" and not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", name):
        raise ValueError("names of hosts such as bridge.example, without a port, or *")
    return name


def _dialect(text: str) -> str:
    name = OTHER_NAMES.get(text.lower(), text.lower())
    if name not in DIALECTS:
        raise ValueError(f"{' and '.join(DIALECTS)}, or one of them, or none")
    return name


def _origin(text: str) -> str:
    """An origin as browsers write it: without a path, and without the scheme's default port."""
    match = re.fullmatch(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?/?", text.lower())
    if text == "*":
        return text
    if match is None:
        raise ValueError("origins such as https://app.example, without a path, or *")
    scheme, host, port = match.groups()
    return f"{scheme}://{host}{'' if port in (DEFAULT_PORTS.get(scheme), None) else port}"


def _public_url(text: str) -> str:
    """An address without a slash at its end."""
    if not re.fullmatch(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/%-]*)?", text):
        raise ValueError("an address such as https://bridge.example, with a path if there is one, and no ? or #")
    return text.rstrip("/")


def parse_headers(text: str) -> dict[str, str]:
    """Parse headers written as a JSON object of strings, or as `Name: value`, one a line.

    Raises:
        ValueError: it is neither. The message does not quote the text, which may be a secret.
    """
    if text.lstrip().startswith("{"):
        try:
            headers = json.loads(text)
        except ValueError:
            raise ValueError("is not valid JSON") from None
        if not all(isinstance(value, str) for value in headers.values()):
            raise ValueError("must be a JSON object whose values are strings")
        return _checked_headers(headers)
    headers = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or " " in name.strip():
            raise ValueError("must be a JSON object of strings, or `Name: value` with one header a line")
        headers[name.strip()] = value.strip()
    return _checked_headers(headers)


def _checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """Check that HTTP can carry these: names of letters, digits and dashes, one-line values in Latin letters."""
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError("has a name that no header can have")
        if not re.fullmatch(r"[\t\x20-\x7e\xa0-\xff]*", value):
            raise ValueError("has a value with a character that no header can have, such as a line break")
    return headers


def load_settings(**given: Any) -> Settings:
    """Settings from the environment and `.env`, overridden by the arguments.

    Raises:
        SettingsError: a value is invalid.
    """
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError(" ".join(_sentence(each) for each in error.errors())) from None
    if settings.timeout > settings.max_timeout:
        raise SettingsError(
            f"{PREFIX}TIMEOUT is {settings.timeout:g}, which is more than {PREFIX}MAX_TIMEOUT "
            f"({settings.max_timeout:g})."
        )
    _check_secrets(settings)
    if settings.is_fleet and not settings.jobs:
        raise SettingsError(
            f"{PREFIX}JOBS is false, and a bridge with {PREFIX}ENGINE and without COMFYUI_URL runs all as jobs."
        )
    return settings


def _check_secrets(settings: Settings) -> None:
    """Refuse secrets that would never sign: a webhook must not go out unsigned because of a misspelt name.

    Raises:
        SettingsError
    """
    names = {DEFAULT, *(key.name for key in settings.api_keys)}
    unknown = next((each.name for each in settings.webhook_secrets if each.name not in names), None)
    if unknown is not None:
        raise SettingsError(
            f"{PREFIX}WEBHOOK_SECRETS has a secret for {unknown!r}, which is the name of no API key; the names are "
            f"{', '.join(sorted(names))}."
        )


def environment_name(field: str) -> str:
    """The environment variable of a setting: `COMFYUI_URL`, `COMFYBRIDGE_PORT`."""
    return field.upper() if field.startswith("comfyui_") else PREFIX + field.upper()


def misspelt_variables() -> list[str]:
    """One sentence for each name in the environment or in `.env` that looks like a setting but is not one."""
    known = [environment_name(field) for field in Settings.model_fields]
    # COMFYUI_ in `.env` only: in the environment, other programs use that prefix
    ours = {name for name in os.environ if name.startswith(PREFIX)}
    ours |= {name for name in dotenv_values(ENV_FILE) if name.startswith((PREFIX, "COMFYUI_"))}
    sentences = []
    for name in sorted(ours.difference(known)):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        sentences.append(f"{name} is not a setting of ComfyBridge{hint}")
    return sentences


def _sentence(error: Any) -> str:
    field = str(error["loc"][0]).lower()
    name = environment_name(field)
    if field in SECRET:  # our own validators provide the rest of the sentence
        return f"{name} {wanted(error)}."
    return f"{name} is {error['input']!r}; it must be {wanted(error)}."
