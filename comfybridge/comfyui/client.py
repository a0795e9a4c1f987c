"""ComfyUI's HTTP API: prompts, files, node classes and models.

Every method raises the errors described in `calls.py`, besides those that it names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from comfybridge.comfyui.calls import LARGEST_ANSWER, LARGEST_QUEUE, json_object, json_texts
from comfybridge.comfyui.download import Download
from comfybridge.comfyui.input_folder import InputFolder
from comfybridge.comfyui.outcome import Prompt
from comfybridge.comfyui.queued import NotAQueue, Queue, items_of, queue_of
from comfybridge.comfyui.reasons import ChoicesOf, refusal
from comfybridge.comfyui.strangers import ITSELF, check_is_comfyui, is_page
from comfybridge.comfyui.transport import Answer
from comfybridge.comfyui.versions import IdNotTaken, is_too_old, too_old
from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, ComfyUIError, FileUnusable

# ComfyUI's answer about a refused graph has at least one of these.
REFUSAL = {"error", "node_errors"}
# Outputs with these endings may be web pages: older versions of ComfyUI serve them as such.
WEB_PAGES = (".html", ".htm", ".xhtml")

UNKNOWN = "unknown"  # the version of a ComfyUI that does not report one

# What aiohttp, ComfyUI's server, answers if a handler fails; proxies answer otherwise.
STUMBLED = b"Server got itself in trouble"
NO_QUEUE = "ComfyUI's answer to GET /queue is not a queue."

# What `/system_stats` calls it: Python's `os.name`, and since 2026 its `sys.platform`.
WINDOWS = ("nt", "win32")


class ComfyUIClient(InputFolder):
    """One ComfyUI server. Safe to share between threads."""

    _is_on_windows: bool | None = None  # once asked
    _is_too_old = False  # as far as known

    # -- prompts -------------------------------------------------------------------------------------------------

    def queue_prompt(
        self,
        prompt: Prompt,
        client_id: str,
        options: Mapping[str, Any] | None = None,
        deadline: Deadline | None = None,
        choices_of: ChoicesOf = lambda *_: None,
    ) -> Mapping[str, Any]:
        """Queue a graph under the id of `prompt`; its events go to the socket of `client_id`.

        A ComfyUI that is too old is detected by the id in its answer, so no extra call is needed.

        Args:
            options: further fields of ComfyUI's `POST /prompt`: `extra_data`, `front`, `number`,
                `partial_execution_targets`.
            choices_of: as `reasons.refusal` takes it.

        Returns:
            The errors in output nodes that ComfyUI leaves out.

        Raises:
            InvalidWorkflow: ComfyUI refuses the graph.
            IdNotTaken: ComfyUI names prompts itself; nothing is queued there.
        """
        if self._is_too_old:  # it was too old, and may have been upgraded
            version = self.version(deadline)
            self._is_too_old = is_too_old(version)
            if self._is_too_old:
                raise IdNotTaken(too_old(version))
        said = self._queue(prompt, {"client_id": client_id, **(options or {})}, deadline, choices_of)
        if said["prompt_id"] != prompt.id:
            raise self._misnamed(said["prompt_id"], deadline)
        return said.get("node_errors") or {}

    def _misnamed(self, prompt_id: str, deadline: Deadline | None) -> ComfyUIError:
        """The error for a prompt that ComfyUI queued under an id of its own; it is removed from the queue."""
        version = UNKNOWN
        with contextlib.suppress(BridgeError):
            self.delete_pending(prompt_id, deadline)
            version = self.version(deadline)
        self._is_too_old = is_too_old(version)
        if self._is_too_old or version == UNKNOWN:
            return IdNotTaken(too_old(version))
        return IdNotTaken(f"ComfyUI's answer to POST /prompt is about another prompt; {ITSELF}.")

    def _queue(
        self, prompt: Prompt, options: Mapping[str, Any], deadline: Deadline | None, choices_of: ChoicesOf
    ) -> dict[str, Any]:
        body = {"prompt": prompt.graph, "prompt_id": prompt.id, **options}
        with self.call("POST", "/prompt", deadline, body=body) as answer:
            if answer.status != 500 or all("_meta" in node for node in prompt.graph.values()):
                return self._accepted(answer, prompt, choices_of)
            if STUMBLED not in answer.read(LARGEST_ANSWER.bytes):
                self.check_status(answer)
        # ComfyUI 0.33 replaces retired classes, and fails if such a node has no `_meta`.
        body["prompt"] = {node_id: {"_meta": {}, **node} for node_id, node in prompt.graph.items()}
        with self.call("POST", "/prompt", deadline, body=body) as answer:
            return self._accepted(answer, prompt, choices_of)

    def _accepted(self, answer: Answer, prompt: Prompt, choices_of: ChoicesOf) -> dict[str, Any]:
        if answer.status == 400:
            said = json_object(answer)
            if not REFUSAL & said.keys():
                raise ComfyUIError(f"ComfyUI answered 400 to POST /prompt without giving a reason; {ITSELF}.")
            raise refusal(said, prompt.graph, choices_of)
        self.check_status(answer)
        said = json_object(answer)
        if not isinstance(said.get("prompt_id"), str):
            raise ComfyUIError(f"ComfyUI's answer to POST /prompt has no prompt_id; {ITSELF}.")
        return said

    def history(self, prompt_id: str, deadline: Deadline | None = None) -> Mapping[str, Any] | None:
        """A prompt's history entry; None while it waits or runs, or if ComfyUI does not know it."""
        entry = self.get_json(f"/history/{quote(prompt_id, safe='')}", deadline).get(prompt_id)
        return entry if isinstance(entry, Mapping) else None

    def queue(self, deadline: Deadline | None = None) -> Queue:
        """The running and waiting prompts with their owners. Expensive: ComfyUI sends every queued graph too."""
        said = self.get_json("/queue", deadline, LARGEST_QUEUE)
        try:
            return queue_of(said)
        except NotAQueue:
            raise ComfyUIError(NO_QUEUE) from None

    def queued(self, prompt_id: str, deadline: Deadline | None = None) -> Sequence[Any] | None:
        """A prompt's entry in ComfyUI's queue: number, id, graph, `extra_data`, and more; None if it has none.

        As expensive as `queue`.
        """
        said = self.get_json("/queue", deadline, LARGEST_QUEUE)
        try:
            running, pending = items_of(said)
            return next((item for item in (*running, *pending) if item[1] == prompt_id), None)
        except (NotAQueue, IndexError):
            raise ComfyUIError(NO_QUEUE) from None

    def queue_length(self, deadline: Deadline | None = None) -> int:
        """How many prompts run or wait. Cheap, so also the right probe for whether ComfyUI answers."""
        said = self.get_json("/prompt", deadline)
        try:
            return int(said["exec_info"]["queue_remaining"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ComfyUIError(
                f"ComfyUI's answer to GET /prompt does not have the queue's length; {ITSELF}."
            ) from None

    def delete_pending(self, prompt_id: str, deadline: Deadline | None = None) -> None:
        """Remove a waiting prompt from the queue. ComfyUI reports success even if it has just begun to run."""
        self.post("/queue", {"delete": [prompt_id]}, deadline)

    def interrupt(self, prompt_id: str, deadline: Deadline | None = None) -> None:
        """Stop a prompt if it is the running one. Only for servers for which `can_aim_interrupts` is true."""
        self.post("/interrupt", {"prompt_id": prompt_id}, deadline)

    def forget(self, prompt_id: str, deadline: Deadline | None = None) -> None:
        """Remove a prompt from the history."""
        self.post("/history", {"delete": [prompt_id]}, deadline)

    # -- files ---------------------------------------------------------------------------------------------------

    def view(
        self,
        filename: str,
        subfolder: str,
        type: str,
        deadline: Deadline | None = None,
        *,
        part: str | None = None,
    ) -> Download:
        """Begin to download a file. The download must be closed, or iterated to its end.

        Args:
            type: the folder that `subfolder` is in: `output`, `temp` or `input`.
            part: the part that is enough, as in HTTP's `Range` header; None: the whole file. The whole file may come
                all the same.

        Raises:
            FileUnusable: the file is not there (any more), or ComfyUI refuses its name.
        """
        query = {"filename": filename, "subfolder": subfolder, "type": type}
        with contextlib.ExitStack() as stack:
            headers = {"Range": part} if part else None
            answer = stack.enter_context(self.call("GET", "/view", deadline, query=query, headers=headers))
            if part and answer.status == 206:
                return Download(answer, stack.pop_all(), filename, deadline, part=answer.header("Content-Range"))
            if part and answer.status == 416:
                stack.close()
                return self.view(filename, subfolder, type, deadline)
            if answer.status == 404 and not is_page(answer):
                raise FileUnusable(f"ComfyUI no longer has the output file {filename!r}.")
            if answer.status == 400 and not is_page(answer):
                raise FileUnusable(f"ComfyUI does not serve the output file {filename!r}: it refuses the name.")
            self.check_status(answer)
            if is_page(answer) and not filename.lower().endswith(WEB_PAGES):
                check_is_comfyui(answer)
            return Download(answer, stack.pop_all(), filename, deadline)

    def look(
        self, filename: str, subfolder: str, type: str, deadline: Deadline | None = None
    ) -> Literal["there", "gone", "refused"]:
        """The result that `view` would have: whether the file exists, and whether ComfyUI serves its folder.

        Only one byte of the file is requested.
        """
        query = {"filename": filename, "subfolder": subfolder, "type": type}
        with self.call("GET", "/view", deadline, query=query, headers={"Range": "bytes=0-0"}) as answer:
            if answer.status == 404:
                return "gone"
            if answer.status in (400, 403, 500):  # the last one if it is on another drive, on Windows
                return "refused"
            if answer.status == 206:
                answer.read_some(1)  # so that the connection can be kept alive
            elif answer.status != 416:  # an empty file has no first byte
                self.check_status(answer)
            return "there"

    def is_on_windows(self, deadline: Deadline | None = None) -> bool:
        """Whether ComfyUI runs on Windows, where a backslash separates folders. Fetched once."""
        if self._is_on_windows is None:
            system = self.system_stats(deadline).get("system")
            name = str(system.get("os")) if isinstance(system, Mapping) else ""
            self._is_on_windows = name.lower() in WINDOWS
        return self._is_on_windows

    # -- the server ----------------------------------------------------------------------------------------------

    def object_info(self, class_type: str, deadline: Deadline | None = None) -> Mapping[str, Any] | None:
        """ComfyUI's description of a node class; None if it has no such class."""
        if class_type in (".", ".."):  # as in `models`
            return None
        path = f"/object_info/{quote(class_type, safe='')}"
        info = self.get_json(path, deadline).get(class_type)
        return info if isinstance(info, Mapping) else None

    def all_object_info(self, deadline: Deadline | None = None) -> Mapping[str, Any]:
        """ComfyUI's description of all node classes, by name: some megabytes, and a second of its time."""
        return self.get_json("/object_info", deadline)

    def node_replacements(self, deadline: Deadline | None = None) -> Mapping[str, Any]:
        """The classes that ComfyUI swaps for others when a graph is queued (0.14); none where it does not say."""
        with contextlib.suppress(ComfyUIError):  # an older one, or a proxy that does not let this through
            return self.get_json("/node_replacements", deadline)
        return {}

    def model_folders(self, deadline: Deadline | None = None) -> list[str]:
        """The kinds of models that ComfyUI knows, such as `checkpoints`."""
        with self.call("GET", "/models", deadline) as answer:
            self.check_status(answer)
            return json_texts(answer)

    def models(self, folder: str, deadline: Deadline | None = None) -> list[str] | None:
        """The files of one kind of models; None if ComfyUI knows no such kind."""
        if folder in (".", ".."):  # these would be removed from the URL, which would then be another one
            return None
        with self.call("GET", f"/models/{quote(folder, safe='')}", deadline) as answer:
            if answer.status == 404 and not is_page(answer):
                return None
            self.check_status(answer)
            return json_texts(answer)

    def system_stats(self, deadline: Deadline | None = None) -> Mapping[str, Any]:
        """Versions, devices and memory, as ComfyUI reports them."""
        return self.get_json("/system_stats", deadline)

    def free_memory(self, deadline: Deadline | None = None) -> None:
        """Have ComfyUI unload its models and empty its caches, once it has run what it runs."""
        self.post("/free", {"unload_models": True, "free_memory": True}, deadline)

    def version(self, deadline: Deadline | None = None) -> str:
        """ComfyUI's version, such as `0.3.64`; `unknown` if it does not report one."""
        system = self.system_stats(deadline).get("system")
        version = system.get("comfyui_version") if isinstance(system, Mapping) else None
        return str(version or UNKNOWN)

    def command_line(self, deadline: Deadline | None = None) -> list[str]:
        """ComfyUI's command line; empty if it does not report one."""
        system = self.system_stats(deadline).get("system")
        arguments = system.get("argv") if isinstance(system, Mapping) else None
        return [str(each) for each in arguments] if isinstance(arguments, list) else []
