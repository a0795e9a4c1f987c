"""`-o` with endings that no workflow makes, or that only some of ComfyUI's nodes make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfybridge.cli.main import main
from comfybridge.simulator import Simulator
from tests.cli.made import SMALL, UNSURE, graph_file
from tests.graphs import node

PICTURES = ".jpeg, .jpg, .png, .webp"


def saving(class_type: str, source: str, **inputs: Any) -> dict[str, Any]:
    """A graph that a test of endings never runs."""
    return {"1": node("Source"), "2": node(class_type, **{source: ["1", 0]}, filename_prefix="x", **inputs)}


@pytest.mark.parametrize("ending", ["heic", "PDF", "psd", "html", "jxl", "pngg", "jp2"])
def test_an_ending_that_no_workflow_makes_is_refused(
    maker: list[str], sim: Simulator, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    assert main(["generate", "x", "-w", "txt2img", "-o", f"p.{ending}", *maker]) == 2
    said = f"-o p.{ending}: the workflow txt2img makes no .{ending} file; it can be saved as {PICTURES}."
    assert capsys.readouterr() == ("", f"app.py generate: {said}\n")
    assert sim.history == {}
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("ending", ["jpe", "JFIF", "jpg"])
def test_every_ending_of_jpeg_is_one(maker: list[str], ending: str) -> None:
    assert main(["generate", "x", *SMALL, "-o", f"p.{ending}", *maker]) == 0
    with Image.open(f"p.{ending}") as picture:
        assert picture.format == "JPEG"


@pytest.mark.parametrize("ending", ["heic", "pngg", "pdf"])
def test_where_all_may_be_made_an_ending_that_no_file_has_is_refused_all_the_same(
    maker: list[str], sim: Simulator, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    assert main(["generate", "-w", graph_file(UNSURE), "-o", f"p.{ending}", *maker]) == 2
    said = capsys.readouterr().err
    assert f"-o p.{ending}: .{ending} is not a known ending" in said
    assert PICTURES in said
    assert sim.history == {}


@pytest.mark.parametrize("ending", ["mp4", "wav", "glb", "spz", "txt", "gif", "zip"])
def test_and_what_a_node_of_a_pack_may_save_is_not(maker: list[str], sim: Simulator, ending: str) -> None:
    assert main(["generate", "-w", graph_file(UNSURE), "-o", f"p.{ending}", *maker]) == 1
    assert len(sim.history) == 1  # it ran, but made something else


@pytest.mark.parametrize(
    ("graph", "wanted", "made"),
    [
        (saving("SaveImageAdvanced", "images", format="exr"), "x.png", ".exr"),
        (saving("SaveImageAdvanced", "images", format="png"), "x.exr", PICTURES),
        (saving("SaveAudioAdvanced", "audio", format="mp3"), "x.flac", ".mp3"),
        (saving("SaveAudioAdvanced", "audio", format=["1", 1]), "x.wav", ".flac, .mp3, .opus"),
        (saving("SaveLatent", "samples"), "x.png", ".latent"),
        (saving("SavePointCloud", "model_3d"), "x.glb", ".ply"),
        (saving("SaveGaussianSplat", "model_3d"), "x.glb", ".ksplat, .ply, .splat, .spz"),
        (saving("SaveText", "text", format="csv"), "x.txt", ".csv"),
        *(
            (saving(name, "mesh"), "x.png", ".fbx, .glb, .gltf, .ksplat, .obj, .ply, .splat, .spz, .stl, .usdz")
            for name in ("SaveGLB", "Save3DAdvanced", "Preview3D", "Preview3DAdvanced")
        ),
    ],
)
def test_what_a_node_of_comfyui_saves_is_known(
    maker: list[str],
    sim: Simulator,
    capsys: pytest.CaptureFixture[str],
    graph: dict[str, Any],
    wanted: str,
    made: str,
) -> None:
    assert main(["generate", "-w", graph_file(graph), "-o", wanted, *maker]) == 2
    suffix = Path(wanted).suffix
    assert f"the graph makes no {suffix} file; it can be saved as {made}.\n" in capsys.readouterr().err
    assert sim.history == {}
