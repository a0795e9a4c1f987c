"""What ComfyUI says of nodes of popular packs, and the form in which they take a file."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.comfyui.catalog import NodeClass
from comfybridge.files.forms import FileForms
from comfybridge.workflow.parameters import Target

TEXT: dict[str, Any] = {"multiline": True}
DEFAULT = {"default": "https://example.com/image.png"}
PLACEHOLDER = {"placeholder": "X://insert/path/here.mp4", "vhs_path_extensions": ["mp4", "webm"]}
TOOLTIP = {"tooltip": "URL of the picture; see https://docs.example/base64"}

# class, input, its type, its options; the node's description; the forms
NODES: list[tuple[str, str, Any, dict[str, Any], str, set[str]]] = [
    ("ETN_LoadImageBase64", "image", "STRING", TEXT, "", {"base64"}),
    ("ETN_LoadMaskBase64", "mask", "STRING", TEXT, "", {"base64"}),
    ("easy loadImageBase64", "base64_data", "STRING", {"default": ""}, "", {"base64"}),
    ("LoadImageFromBase64", "data", "STRING", TEXT, "", {"base64"}),
    ("SwarmLoadImageB64", "image_base64", "STRING", TEXT, "", {"base64"}),
    ("ImageFromData", "image_data_url", "STRING", TEXT, "", {"data_uri"}),
    ("LoadImageFromUrl", "image", "STRING", {"default": "", **TEXT}, "", {"url"}),
    ("LoadImageFromHttpURL", "image_url", "STRING", TEXT, "", {"url"}),
    ("Load Image From Url (mtb)", "url", "STRING", DEFAULT, "", {"url"}),
    ("LoadImageFromURL", "imageUrl", "STRING", {}, "", {"url"}),
    ("LoadImageFromURL", "url_or_path", "STRING", {}, "", {"url", "name"}),
    ("Picture", "source", "STRING", TOOLTIP, "", {"url", "base64"}),
    ("Picture", "source", "STRING", {}, "Decodes a picture from base64.", {"base64"}),
    ("Picture", "source", "STRING", {}, "Made by me: https://example.org/base64", {"name"}),
    ("VHS_LoadVideoPath", "video", "STRING", PLACEHOLDER, "", {"url", "path"}),
    ("Image Load", "image_path", "STRING", {"default": "./ComfyUI/input/example.png"}, "", {"name"}),
    ("LoadWebP", "image", "STRING", {}, "", {"name"}),
    ("CurlNoise", "value", "STRING", {}, "", {"name"}),
    ("LoadImageBase64", "image", ["a.png", "b.png"], {"image_upload": True}, "", {"name"}),
    ("LoadImageFromUrl", "file", "COMBO", {"options": ["a.png"], "image_upload": True}, "", {"name"}),
    ("LoadImageFromUrl", "image", "STRING", {"image_upload": True}, "", {"name"}),
    ("LoadImageBase64", "unheard_of", "IMAGE", {}, "", {"name"}),
]


@pytest.mark.parametrize(("name", "input_name", "kind", "options", "description", "forms"), NODES)
def test_words_tell_in_which_form_an_input_takes_a_file(
    name: str, input_name: str, kind: Any, options: dict[str, Any], description: str, forms: set[str]
) -> None:
    node_class = NodeClass(name, False, {input_name: [kind, options]}, {}, display_name=name, description=description)
    graph = {"1": {"class_type": name, "inputs": {input_name: "a.png"}}}
    assert FileForms(graph, {name: node_class}.get).of(Target("1", input_name)) == forms


def test_of_a_class_that_nobody_knows_it_is_a_name() -> None:
    graph = {"1": {"class_type": "LoadImageBase64", "inputs": {"image": "a.png"}}}
    assert FileForms(graph, lambda _: None).of(Target("1", "image")) == {"name"}
