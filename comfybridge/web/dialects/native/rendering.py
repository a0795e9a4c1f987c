"""Writes a generation as the JSON answer."""

from __future__ import annotations

import time
from typing import cast

from comfybridge.expected_size import size_warnings
from comfybridge.files.delivery import DeliveredFile, Delivery
from comfybridge.request import Generation, Output
from comfybridge.web.answers.embedding import PLACE, json_with_files
from comfybridge.web.answers.links import LinkTo
from comfybridge.web.answers.sending import Body
from comfybridge.web.dialects.native.bodies import GenerationAnswer, OutputAnswer


def generation_json(generation: Generation, *, with_first_image: bool, link_to: LinkTo | None = None) -> Body:
    """The JSON of a generation, on one line; its files are in memory, or fetched while it is sent.

    Args:
        with_first_image: also give the first image as `image`, as clients that send a graph in `prompt` expect it.
        link_to: returns the URL that stands for a file; None: its bytes are in the answer.

    Raises:
        ComfyUIError, ComfyUIUnreachable, TimedOut: a file could not be fetched.
    """
    page = _Page(generation, with_first_image, link_to)
    return json_with_files(generation, page.delivery, page.places, page.body)


class _Page:
    """What the JSON says, with placeholders for the files."""

    def __init__(self, generation: Generation, with_first_image: bool, link_to: LinkTo | None) -> None:
        images = generation.images
        others = [output for output in generation.outputs if output.kind != "image" and output.text is None]
        has_texts = any(output.text is not None for output in generation.outputs)
        self.delivery = Delivery([*images, *others], has_more=has_texts)
        self._generation = generation
        self._total = time.monotonic() - generation.started
        self._images = [file for file in self.delivery.files if file.output.kind == "image"]
        numbers: dict[DeliveredFile, int] = {file: index for index, file in enumerate(self._images)}
        self._numbered = {id(file.output): (file, numbers.get(file)) for file in self.delivery.files}
        self._link_to = link_to
        self._with_first_image = with_first_image and bool(self._images) and link_to is None
        self._unmeasured = {file for file in self.delivery.files if file.size is None}

    @property
    def places(self) -> list[DeliveredFile]:
        """The files in their order in the JSON."""
        files = self.delivery.files if self._link_to is None else []
        return [*files, self._images[0]] if self._with_first_image else files

    def body(self) -> GenerationAnswer:
        """The JSON."""
        generation, timings = self._generation, self._generation.timings
        outputs: list[OutputAnswer] = []
        warnings = [*generation.warnings, *self.delivery.warnings]
        makers = {id(output): part.prompt_id for part in generation.of_prompts for output in part.outputs}
        for output in generation.outputs:
            if output.text is not None:
                outputs.append(_text(output, output.text))
            elif id(output) in self._numbered:
                file, index = self._numbered[id(output)]
                outputs.append(self._file(file, index))
                warnings += file.warnings
            else:
                continue
            if makers:
                outputs[-1]["prompt_id"] = makers[id(output)]
        warnings += size_warnings(generation.size, [file.pixels for file in self._images if file.pixels])
        body: GenerationAnswer = {
            "status": "success",
            "prompt_id": generation.prompt_id,
            "images": [PLACE] * len(self._images) if self._link_to is None else [],
            "outputs": outputs,
            "seed": generation.seed,
            "params": generation.params,
            "warnings": warnings,
            "timings": {
                "queued": _rounded(timings.queued),
                "executing": _rounded(timings.executing),
                "total": _rounded(self._total),
            },
        }
        if generation.of_prompts:
            body["seeds"] = [part.seed for part in generation.parts]
            body["prompt_ids"] = [part.prompt_id for part in generation.parts]
        if self._with_first_image:
            body["image"] = PLACE
        return body

    def _file(self, file: DeliveredFile, index: int | None) -> OutputAnswer:
        output = file.output
        width, height = file.pixels or (None, None)
        described: OutputAnswer = {
            "node_id": output.node_id,
            "kind": output.kind,
            "filename": file.filename,
            "subfolder": output.subfolder,
            "type": output.type,
            "media_type": file.media_type,
            "width": width,
            "height": height,
            "bytes": file.size or 0,
            "index": index,
        }
        if self._link_to is not None:
            described["index"], described["bytes"] = None, file.size
            described["url"] = self._link_to(output)
        elif index is None:
            described["data"] = PLACE
            if file in self._unmeasured:
                described["bytes"] = cast(dict[str, int], described).pop("bytes")  # known once the data has been sent
        return described


def _text(output: Output, text: str) -> OutputAnswer:
    return {
        "node_id": output.node_id,
        "kind": output.kind,
        "filename": output.filename,
        "subfolder": output.subfolder,
        "type": output.type,
        "media_type": output.media_type,
        "width": None,
        "height": None,
        "bytes": len(text.encode()),
        "index": None,
        "text": text,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
