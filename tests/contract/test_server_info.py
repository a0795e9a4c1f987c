"""What a server tells of itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.server import Server

# The nodes that the bridge's own workflows use; any ComfyUI has them.
USUAL = [
    *("CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode", "VAEEncode"),
    *("SaveImage", "PreviewImage", "LoadImage", "EmptyImage", "ImageScale", "ImageInvert", "SaveImageWebsocket"),
    *("CLIPTextEncodeSDXL", "KSamplerAdvanced", "UNETLoader", "DualCLIPLoader", "VAELoader", "FluxGuidance"),
    *("EmptySD3LatentImage", "SamplerCustomAdvanced", "RandomNoise", "BasicGuider", "LoraLoader"),
]


@pytest.mark.parametrize("name", USUAL)
def test_object_info_describes_a_node_class(server: Server, name: str) -> None:
    info = server.get(f"/object_info/{name}").json()

    assert set(info) == {name}
    node = info[name]
    assert node["name"] == name
    assert node["input_order"] == {group: list(inputs) for group, inputs in node["input"].items()}
    assert len(node["output"]) == len(node["output_name"]) == len(node["output_is_list"])
    assert isinstance(node["output_node"], bool)
    for spec in node["input"]["required"].values():
        assert isinstance(spec, list)
        assert isinstance(spec[0], (str, list))


def test_object_info_of_an_unknown_class_is_empty(server: Server) -> None:
    response = server.get("/object_info/NoSuchNode")

    assert (response.status_code, response.json()) == (200, {})


def test_object_info_of_all_classes_holds_each(server: Server) -> None:
    everything = server.get("/object_info").json()

    assert set(USUAL) <= set(everything)
    assert everything["KSampler"] == server.get("/object_info/KSampler").json()["KSampler"]


@pytest.mark.parametrize(
    ("name", "field", "limits"),
    [
        ("EmptyLatentImage", "width", {"default": 512, "min": 16, "max": 16384, "step": 8}),
        ("KSampler", "seed", {"default": 0, "min": 0, "max": 2**64 - 1, "control_after_generate": True}),
        ("KSampler", "steps", {"default": 20, "min": 1, "max": 10000}),
        ("KSampler", "cfg", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01}),
        ("KSampler", "denoise", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}),
    ],
)
def test_numbers_have_their_limits(server: Server, name: str, field: str, limits: dict[str, Any]) -> None:
    config = server.get(f"/object_info/{name}").json()[name]["input"]["required"][field][1]
    config.pop("tooltip", None)

    assert config == limits


def test_choices_stand_where_the_type_would(server: Server) -> None:
    required = server.get("/object_info/KSampler").json()["KSampler"]["input"]["required"]

    assert {"euler", "dpmpp_2m"} <= set(required["sampler_name"][0])
    assert {"normal", "karras"} <= set(required["scheduler"][0])


def test_the_checkpoints_are_the_choices_of_their_loader(server: Server) -> None:
    info = server.get("/object_info/CheckpointLoaderSimple").json()["CheckpointLoaderSimple"]

    assert info["input"]["required"]["ckpt_name"][0] == server.get("/models/checkpoints").json()


def test_model_folders_are_listed(server: Server) -> None:
    assert {"checkpoints", "loras", "vae", "text_encoders", "diffusion_models"} <= set(server.get("/models").json())


def test_an_unknown_model_folder_is_404(server: Server) -> None:
    assert server.get("/models/nonsense").status_code == 404


def test_embeddings_are_a_list(server: Server) -> None:
    assert isinstance(server.get("/embeddings").json(), list)


def test_features_name_the_greatest_upload(server: Server) -> None:
    features = server.get("/features").json()

    assert features["supports_preview_metadata"] is True
    assert features["max_upload_size"] == 100 * 1024 * 1024


def test_system_stats_name_version_and_devices(server: Server) -> None:
    stats = server.get("/system_stats").json()

    assert set(stats) == {"system", "devices"}
    assert stats["system"]["comfyui_version"]
    for device in stats["devices"]:
        assert {"name", "type", "index", "vram_total", "vram_free"} <= set(device)
