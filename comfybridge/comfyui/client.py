"""ComfyUI's HTTP calls, over the connections of `transport.py`.

Every call has a connect and a read timeout, and ends by the deadline that it is given. What goes wrong is one of
the bridge's own errors: `ComfyUIUnreachable` where nobody answers, `ComfyUISilent` (one of those) where somebody
is there and says nothing, `ComfyUIError` where the answer makes no sense, `TimedOut` where the deadline passed.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from urllib3.filepost import encode_multipart_formdata

from comfybridge.address import ServerAddress
from comfybridge.comfyui.download import Download
from comfybridge.comfyui.failures import (
    CallFailed,
    CutOff,
    MakesNoSense,
    NoAnswerInTime,
    NoConnectionInTime,
    NotConnected,
    TooLong,
)
from comfybridge.comfyui.outcome import Prompt
from comfybridge.comfyui.queued import Job, NotAQueue, Queue, items_of, job_of, queue_of, queue_of_jobs
from comfybridge.comfyui.reasons import ChoicesOf, refusal
from comfybridge.comfyui.strangers import ITSELF, NotComfyUI, check_is_comfyui, check_status, is_page
from comfybridge.comfyui.transport import Answer, Transport
from comfybridge.deadline import Deadline
from comfybridge.errors import ComfyUIError, ComfyUIUnreachable, FileUnusable, TimedOut, TooLarge

RETRY_AFTER = 5

# Of what ComfyUI says of a graph that it refuses, one of these at least.
REFUSAL = {"error", "node_errors"}
# A workflow may make one of its own, of which older versions say so.
WEB_PAGES = (".html", ".htm", ".xhtml")

# Bytes of a JSON answer, which is held in memory as a whole. Histories can have images in them, as texts; the queue
# has every graph that waits, each with the workflow that it was made from: thousands of some 100 KB.
LARGEST_ANSWER = 128 * 1024 * 1024
LARGEST_QUEUE = 1024 * 1024 * 1024
# Bytes of a file that make it worth to ask first whether ComfyUI takes one of that size.
LARGE_UPLOAD = 8 * 1024 * 1024
# What aiohttp, on which ComfyUI runs, says of a handler that failed; a proxy says something else.
STUMBLED = b"Server got itself in trouble"
NO_QUEUE = "ComfyUI's answer to GET /queue is not a queue."

# `/interrupt` heeds a prompt's id since ComfyUI pull request 9607 of 2 September 2025, first released as 0.3.57.
# Before, it stops whatever runs, whoever it belongs to.
AIMED_INTERRUPT = (0, 3, 57)

# What the job list says of a prompt that ComfyUI does not know. A ComfyUI without the list answers 404 as well.
UNKNOWN_JOB = {"error": "Job not found"}
# What `/system_stats` calls it: Python's `os.name`, and since 2026 its `sys.platform`.
WINDOWS = ("nt", "win32")

# An id that fits into an address and a header: visible ASCII without / and \, and not . or .. alone. The bridge's and
# ComfyUI's own are UUIDs; others may choose any, and what is at COMFYUI_URL may answer anything.
PROMPT_ID = re.compile(r"(?!\.{1,2}\Z)[\x21-\x2e\x30-\x5b\x5d-\x7e]{1,100}")


class ComfyUISilent(ComfyUIUnreachable):
    """ComfyUI took the call and did not answer in time: it may be busy, suspended, or cut off."""


class ComfyUINotReached(ComfyUIUnreachable):
    """No connection was made, so nothing was sent."""


class NoJobList(ComfyUIError):
    """ComfyUI does not tell of its jobs: it is older than 0.6.0, or some prompt's `extra_data` breaks the list."""


@dataclass(frozen=True)
class Accepted:
    """ComfyUI's answer to a graph that it queued, or queued in part.

    Attributes:
        prompt_id: the id under which it runs; not the one asked for where ComfyUI is older than 0.3.45.
        number: its place in the order of the queue.
        node_errors: what is wrong with the output nodes that are left out.
    """

    prompt_id: str
    number: float
    node_errors: Mapping[str, Any]


class ComfyUIClient:
    """One ComfyUI server, over one pool of kept-alive connections. Safe to share between threads.

    Args:
        address: where it is, and what every call carries.
        connect_timeout: seconds to get a connection.
        read_timeout: seconds that the server may be silent within a call.
        pool_size: connections that are kept alive.

    Attributes:
        route: how connections are made.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        connect_timeout: float = 5,
        read_timeout: float = 30,
        pool_size: int = 256,
    ) -> None:
        self.address = address
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self._transport = Transport(address, pool_size)
        self.route = self._transport.route
        self._is_on_windows: bool | None = None

    def close(self) -> None:
        """Close the pooled connections."""
        self._transport.close()

    # -- prompts -------------------------------------------------------------------------------------------------

    def queue_prompt(
        self,
        prompt: Prompt,
        client_id: str,
        options: Mapping[str, Any] | None = None,
        deadline: Deadline | None = None,
        choices_of: ChoicesOf = lambda *_: None,
    ) -> Accepted:
        """Queue a graph under the id of `prompt`; its events go to the socket of `client_id`.

        Args:
            options: further fields of ComfyUI's `POST /prompt`: `extra_data`, `front`, `number`,
                `partial_execution_targets`.
            choices_of: as `reasons.refusal` takes it.

        Raises:
            InvalidWorkflow: ComfyUI refuses the graph.
        """
        body = {"prompt": prompt.graph, "prompt_id": prompt.id, "client_id": client_id, **(options or {})}
        with self._call("POST", "/prompt", deadline, body=body) as answer:
            if answer.status != 500 or all("_meta" in node for node in prompt.graph.values()):
                return self._accepted(answer, prompt, choices_of)
            if STUMBLED not in answer.read(LARGEST_ANSWER):
                self._check_status(answer)
        # ComfyUI 0.33 puts another class in the place of a retired one, and fails if that node has no `_meta`.
        body["prompt"] = {node_id: {"_meta": {}, **node} for node_id, node in prompt.graph.items()}
        with self._call("POST", "/prompt", deadline, body=body) as answer:
            return self._accepted(answer, prompt, choices_of)

    def _accepted(self, answer: Answer, prompt: Prompt, choices_of: ChoicesOf) -> Accepted:
        if answer.status == 400:
            said = _json_object(answer)
            if not REFUSAL & said.keys():
                raise ComfyUIError(f"ComfyUI answered 400 to POST /prompt and does not say why; {ITSELF}.")
            raise refusal(said, prompt.graph, choices_of)
        self._check_status(answer)
        said = _json_object(answer)
        if not isinstance(said.get("prompt_id"), str) or not PROMPT_ID.fullmatch(said["prompt_id"]):
            raise ComfyUIError(
                f"ComfyUI's answer to POST /prompt has no prompt_id, or none that can be one; {ITSELF}."
            )
        return Accepted(said["prompt_id"], said.get("number", 0), said.get("node_errors") or {})

    def history(self, prompt_id: str, deadline: Deadline | None = None) -> Mapping[str, Any] | None:
        """A prompt's history entry; None while it waits or runs, and if ComfyUI does not know it."""
        entry = self._get_json(f"/history/{quote(prompt_id, safe='')}", deadline).get(prompt_id)
        return entry if isinstance(entry, Mapping) else None

    def queue(self, deadline: Deadline | None = None) -> Queue:
        """What runs and what waits, and whose it is. Heavy: ComfyUI sends every queued graph along."""
        said = self._get_json("/queue", deadline, LARGEST_QUEUE)
        try:
            return queue_of(said)
        except NotAQueue:
            raise ComfyUIError(NO_QUEUE) from None

    def queued(self, prompt_id: str, deadline: Deadline | None = None) -> Sequence[Any] | None:
        """What ComfyUI's queue holds of a prompt: its number, id, graph, `extra_data`, and more; None if nothing.

        As heavy as `queue`.
        """
        said = self._get_json("/queue", deadline, LARGEST_QUEUE)
        try:
            running, pending = items_of(said)
            return next((item for item in (*running, *pending) if item[1] == prompt_id), None)
        except (NotAQueue, IndexError):
            raise ComfyUIError(NO_QUEUE) from None

    def jobs(self, deadline: Deadline | None = None, *, running_only: bool = False) -> Queue:
        """What runs and what waits, without owners: in a third of the time of `queue`, and in a tenth of the bytes.

        Args:
            running_only: leave out what waits, however much that is.

        Raises:
            NoJobList: this ComfyUI has no job list, or can't make it.
        """
        query = {"status": "in_progress" if running_only else "in_progress,pending"}
        status, said = self._ask_jobs("/api/jobs", deadline, query)
        try:
            if status == 200:
                return queue_of_jobs(said)
        except NotAQueue:
            pass
        raise NoJobList(f"ComfyUI's answer to GET /api/jobs ({status}) is not a list of jobs.")

    def job(self, prompt_id: str, deadline: Deadline | None = None) -> Job | None:
        """Whether a prompt waits, runs or has ended; None if ComfyUI knows no such prompt.

        Cheap, unless it has ended: then ComfyUI sends its graph and its outputs along. Of an id that has ended and is
        queued again, ComfyUI tells only that it has ended.

        Raises:
            NoJobList: this ComfyUI has no job list, or can't tell of this prompt.
        """
        status, said = self._ask_jobs(f"/api/jobs/{quote(prompt_id, safe='')}", deadline)
        if status == 404 and said == UNKNOWN_JOB:
            return None
        try:
            if status == 200 and said.get("id") == prompt_id:
                return job_of(said)
        except NotAQueue:
            pass
        raise NoJobList(f"ComfyUI's answer to GET /api/jobs/{prompt_id} ({status}) is not a job.")

    def _ask_jobs(
        self, path: str, deadline: Deadline | None, query: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        """The status and the JSON object that the job list answers with; an empty one where it is none."""
        with self._call("GET", path, deadline, query=query) as answer:
            if answer.status in (502, 503, 504):  # a proxy that does not reach ComfyUI
                self._check_status(answer)
            said: object = None
            with contextlib.suppress(ValueError, RecursionError):  # a page, say: GET /queue will tell who answers
                said = json.loads(answer.read(LARGEST_QUEUE))
            return answer.status, said if isinstance(said, dict) else {}

    def queue_length(self, deadline: Deadline | None = None) -> int:
        """How many prompts run or wait. Cheap: the right probe for whether ComfyUI answers."""
        said = self._get_json("/prompt", deadline)
        try:
            return int(said["exec_info"]["queue_remaining"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ComfyUIError(
                f"ComfyUI's answer to GET /prompt does not tell the queue's length; {ITSELF}."
            ) from None

    def delete_pending(self, prompt_id: str, deadline: Deadline | None = None) -> None:
        """Take a waiting prompt out of the queue. ComfyUI says yes even if it has just begun to run."""
        self._post("/queue", {"delete": [prompt_id]}, deadline)

    def interrupt(self, prompt_id: str, deadline: Deadline | None = None) -> None:
        """Stop a prompt if it is the one that runs. Only for servers that `can_aim_interrupts`."""
        self._post("/interrupt", {"prompt_id": prompt_id}, deadline)

    def forget(self, prompt_id: str, deadline: Deadline | None = None) -> None:
        """Take a prompt out of the history."""
        self._post("/history", {"delete": [prompt_id]}, deadline)

    # -- files ---------------------------------------------------------------------------------------------------

    def view(self, filename: str, subfolder: str, type: str, deadline: Deadline | None = None) -> Download:
        """Begin to download a file. The download must be closed, or iterated to its end.

        Args:
            type: the folder that `subfolder` is in: `output`, `temp` or `input`.

        Raises:
            FileUnusable: the file is not there (any more), or ComfyUI refuses its name.
        """
        query = {"filename": filename, "subfolder": subfolder, "type": type}
        with contextlib.ExitStack() as stack:
            call = self._call("GET", "/view", deadline, query=query)
            answer = stack.enter_context(call)
            if answer.status == 404 and not is_page(answer):
                raise FileUnusable(f"ComfyUI no longer has the output file {filename!r}.")
            if answer.status == 400 and not is_page(answer):
                raise FileUnusable(f"ComfyUI does not hand out the output file {filename!r}: it refuses such a name.")
            self._check_status(answer)
            if is_page(answer) and not filename.lower().endswith(WEB_PAGES):
                check_is_comfyui(answer)
            return Download(answer, stack.pop_all(), filename, deadline)

    def look(
        self, filename: str, subfolder: str, type: str, deadline: Deadline | None = None
    ) -> Literal["there", "gone", "refused"]:
        """What `view` would come to: whether the file is there, and whether ComfyUI serves that place at all.

        Of the file itself one byte is asked for.
        """
        query = {"filename": filename, "subfolder": subfolder, "type": type}
        with self._call("GET", "/view", deadline, query=query, headers={"Range": "bytes=0-0"}) as answer:
            if answer.status == 404:
                return "gone"
            if answer.status in (400, 403, 500):  # the last one where it is on another drive, on Windows
                return "refused"
            if answer.status == 206:
                answer.read_some(1)  # so that the connection can be kept
            elif answer.status != 416:  # an empty file has no first byte
                self._check_status(answer)
            return "there"

    def is_on_windows(self, deadline: Deadline | None = None) -> bool:
        """Whether ComfyUI runs on Windows, where a backslash separates folders. Asked once."""
        if self._is_on_windows is None:
            system = self.system_stats(deadline).get("system")
            name = str(system.get("os")) if isinstance(system, Mapping) else ""
            self._is_on_windows = name.lower() in WINDOWS
        return self._is_on_windows

    def upload(self, filename: str, data: bytes, subfolder: str, deadline: Deadline | None = None) -> str:
        """Put a file into ComfyUI's input folder.

        Returns:
            What an input of a node names it: `subfolder/name`. The name is not always the one asked for.

        Raises:
            TooLarge: ComfyUI does not take files of that size.
        """
        if len(data) > LARGE_UPLOAD:
            most = self._largest_upload(deadline)
            if most is not None and len(data) > most:
                raise TooLarge(
                    f"ComfyUI takes input files of up to {most} bytes, and one of the request has {len(data)}."
                )
        body, content_type = encode_multipart_formdata(
            {
                "image": (filename, data, "application/octet-stream"),
                "type": "input",
                "subfolder": subfolder,
            }
        )
        headers = {"Content-Type": content_type}
        with self._call(
            "POST", "/upload/image", deadline, file=(_Body(body, deadline), len(body)), headers=headers
        ) as answer:
            if answer.status == 413:
                raise TooLarge(f"ComfyUI does not take an input file of {len(data)} bytes: it is too large for it.")
            self._check_status(answer)
            said = _json_object(answer)
        name, folder = said.get("name"), said.get("subfolder") or ""
        if not isinstance(name, str) or not name or not isinstance(folder, str):
            raise ComfyUIError("ComfyUI's answer to POST /upload/image does not name the file.")
        return f"{folder}/{name}" if folder else name

    def _largest_upload(self, deadline: Deadline | None) -> int | None:
        """The most bytes that an upload may have; None if ComfyUI does not say."""
        with contextlib.suppress(ComfyUIError):
            most = self._get_json("/features", deadline).get("max_upload_size")
            return most if isinstance(most, int) else None
        return None

    # -- the server ----------------------------------------------------------------------------------------------

    def object_info(self, class_type: str, deadline: Deadline | None = None) -> Mapping[str, Any] | None:
        """What ComfyUI says of a node class; None if it has no such class."""
        if class_type in (".", ".."):  # as in `models`
            return None
        path = f"/object_info/{quote(class_type, safe='')}"
        info = self._get_json(path, deadline).get(class_type)
        return info if isinstance(info, Mapping) else None

    def model_folders(self, deadline: Deadline | None = None) -> list[str]:
        """The kinds of models that ComfyUI knows, such as `checkpoints`."""
        with self._call("GET", "/models", deadline) as answer:
            self._check_status(answer)
            return _json_texts(answer)

    def models(self, folder: str, deadline: Deadline | None = None) -> list[str] | None:
        """The files of one kind of models; None if ComfyUI knows no such kind."""
        if folder in (".", ".."):  # would be taken out of the address, and ask for another one
            return None
        with self._call("GET", f"/models/{quote(folder, safe='')}", deadline) as answer:
            if answer.status == 404 and not is_page(answer):
                return None
            self._check_status(answer)
            return _json_texts(answer)

    def system_stats(self, deadline: Deadline | None = None) -> Mapping[str, Any]:
        """Versions, devices and memory, as ComfyUI gives them."""
        return self._get_json("/system_stats", deadline)

    def version(self, deadline: Deadline | None = None) -> str:
        """ComfyUI's version, such as `0.3.64`; `unknown` where it does not say."""
        system = self.system_stats(deadline).get("system")
        version = system.get("comfyui_version") if isinstance(system, Mapping) else None
        return str(version or "unknown")

    def command_line(self, deadline: Deadline | None = None) -> list[str]:
        """What ComfyUI was started with; nothing where it does not say."""
        system = self.system_stats(deadline).get("system")
        arguments = system.get("argv") if isinstance(system, Mapping) else None
        return [str(each) for each in arguments] if isinstance(arguments, list) else []

    # -- how a call is made --------------------------------------------------------------------------------------

    def _get_json(self, path: str, deadline: Deadline | None, most: int | None = None) -> Mapping[str, Any]:
        with self._call("GET", path, deadline) as answer:
            self._check_status(answer)
            return _json_object(answer, most)

    def _post(self, path: str, body: Mapping[str, Any], deadline: Deadline | None) -> None:
        with self._call("POST", path, deadline, body=body) as answer:
            self._check_status(answer)

    @contextlib.contextmanager
    def _call(self, method: str, path: str, deadline: Deadline | None, **options: Any) -> Iterator[Answer]:
        what = f"{method} /{path.split('/')[1]}"
        if deadline is not None and deadline.passed:
            raise TimedOut(f"The time was up before ComfyUI could be asked ({what}).")
        timeout = (self.connect_timeout, self.read_timeout)
        try:
            with self._transport.send(method, path, timeout, deadline=deadline, **options) as answer:
                yield answer
        except NotComfyUI as error:
            raise ComfyUIError(
                f"What answers at COMFYUI_URL ({self.address.url}) is not ComfyUI but {error}."
            ) from None
        except NoConnectionInTime as error:
            raise self._too_late(deadline, what, ComfyUINotReached, str(error)) from None
        except NotConnected as error:
            raise self._unreachable(ComfyUINotReached, str(error)) from None
        except NoAnswerInTime as error:
            raise self._too_late(deadline, what, ComfyUISilent, f"{error} {what}") from None
        except TooLong as error:
            raise ComfyUIError(f"ComfyUI {error} to {what}, which is more than can be meant.") from None
        except MakesNoSense as error:
            raise ComfyUIError(f"ComfyUI, or a proxy before it, {error} to {what}.") from None
        except CutOff:
            raise ComfyUIError(f"ComfyUI's answer to {what} was cut off in the middle.") from None
        except CallFailed as error:
            raise self._unreachable(ComfyUIUnreachable, str(error)) from None

    def _check_status(self, answer: Answer) -> None:
        proxy = self.route.proxy if self.route.is_proxied_plainly else None
        check_status(answer, has_credentials=bool(self.address.headers), proxy=str(proxy) if proxy else None)

    def _too_late(
        self, deadline: Deadline | None, what: str, kind: type[ComfyUIUnreachable], why: str
    ) -> TimedOut | ComfyUIUnreachable:
        if deadline is not None and deadline.passed:
            return TimedOut(f"The time was up while ComfyUI was being asked ({what}).")
        return self._unreachable(kind, why)

    def _unreachable(self, kind: type[ComfyUIUnreachable], why: str) -> ComfyUIUnreachable:
        return kind(f"ComfyUI at {self.address.url} {why}.", retry_after=RETRY_AFTER)


class _Body(io.BytesIO):
    """A large body, sent piece by piece: a timeout holds for each piece, and the deadline for all of them."""

    def __init__(self, data: bytes, deadline: Deadline | None) -> None:
        super().__init__(data)
        self._deadline = deadline

    def read(self, size: int | None = -1) -> bytes:
        if self._deadline is not None and self._deadline.passed:
            raise TimedOut("The time was up while a file was being uploaded to ComfyUI.")
        return super().read(size)


def can_aim_interrupts(version: str) -> bool:
    """Whether a ComfyUI of that version heeds the prompt id given to `/interrupt`; no if it can't be told."""
    numbers = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return numbers is not None and tuple(int(each or 0) for each in numbers.groups()) >= AIMED_INTERRUPT


def _json_object(answer: Answer, most: int | None = None) -> dict[str, Any]:
    said = _json(answer, most)
    if not isinstance(said, dict):
        raise _nonsense(answer, "a JSON object")
    return said


def _json_texts(answer: Answer) -> list[str]:
    said = _json(answer)
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        raise _nonsense(answer, "a JSON list of texts")
    return said


def _json(answer: Answer, most: int | None = None) -> object:
    data = answer.read(most or LARGEST_ANSWER)
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(data)
    check_is_comfyui(answer, data)
    return None


def _nonsense(answer: Answer, wanted: str) -> ComfyUIError:
    return ComfyUIError(f"ComfyUI's answer to {answer.method} {answer.path} is not {wanted}; {ITSELF}.")
