"""`python app.py generate -o`: what is replaced, what goes to standard output, and which endings are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfybridge.cli.main import main
from comfybridge.simulator import Simulator
from tests import ROOT, graphs
from tests.cli.made import SMALL, TEXT_AND_PICTURES, VIDEO, graph_file
from tests.graphs import node

FILM = graphs.frames("SaveAnimatedWEBP", filename_prefix="x", fps=6.0, lossless=True, quality=80, method="default")


# -- what is replaced


def test_the_named_file_is_replaced_and_no_other(maker: list[str], tmp_path: Path) -> None:
    graph = graph_file(TEXT_AND_PICTURES)
    for name in ("out.png", "out_2.png", "out_3.png", "out.txt"):
        Path(name).write_bytes(b"mine")
    assert main(["generate", "-w", graph, "-o", "out.png", *maker]) == 0
    assert {path.name: path.read_bytes() == b"mine" for path in tmp_path.glob("out*")} == {
        "out.png": False,
        "out_2.png": True,
        "out_3.png": True,
        "out_4.png": False,
        "out.txt": True,
        "out_2.txt": False,
    }
    assert Path("out_2.txt").read_text() == "a text"


def test_a_link_that_leads_nowhere_is_not_followed_by_what_is_saved_beside(maker: list[str]) -> None:
    Path("out_2.png").symlink_to("elsewhere.png")
    assert main(["generate", "-w", graph_file(graphs.picture(batch=2)), "-o", "out.png", *maker]) == 0
    assert not Path("elsewhere.png").exists()
    assert Path("out_3.png").exists()


# -- standard output


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "generate", *arguments], capture_output=True, timeout=60, check=False
    )


def test_standard_output_gets_the_bytes_and_nothing_else(maker: list[str], tmp_path: Path) -> None:
    ended = run("x", *SMALL, "-p", "seed=7", "-o", "-", *maker)
    assert ended.returncode == 0
    assert ended.stderr.endswith(b"seed 7\n")
    Path("piped.png").write_bytes(ended.stdout)
    with Image.open("piped.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (64, 64))
    assert [path.name for path in tmp_path.iterdir()] == ["piped.png"]


def test_of_several_files_the_first_picture_goes_there_and_that_is_said(
    maker: list[str], capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    assert main(["generate", "-w", graph_file(TEXT_AND_PICTURES), "-o", "-", *maker]) == 0
    said = capfdbinary.readouterr()
    assert said.out.startswith(b"\x89PNG")
    assert said.out.count(b"IEND") == 1
    assert said.err.startswith(b"Warning: Only x_00001_.png went to standard output; not saved: a text, x_")
    assert {path.name for path in tmp_path.iterdir()} == {"graph.json"}


def test_a_text_can_go_there_too(maker: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["generate", "-w", graph_file({"1": node("PreviewAny", source="a text")}), "-o", "-", *maker]) == 0
    assert capfdbinary.readouterr() == (b"a text", b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such device")
def test_a_device_gets_one_file_and_nothing_lies_beside_it(
    maker: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["generate", "-w", graph_file(graphs.picture(batch=2)), "-o", os.devnull, *maker]) == 0
    said = capfd.readouterr()
    assert said.out == f"{os.devnull}\n"
    assert f"went to {os.devnull}; not saved: " in said.err
    assert {path.name for path in tmp_path.iterdir()} == {"graph.json"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_reader_that_has_gone_is_said_so_in_one_line(maker: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "generate", "x", *SMALL, "-o", "-", *maker],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"app.py generate: standard output can't be written: Broken pipe. ")
    assert ended.stderr.count(b"\n") == 1


# -- endings

FORMATS = ".jpeg, .jpg, .png, .webp"
VIDEOS = ".avi, .mkv, .mov, .mp4, .webm"


@pytest.mark.parametrize(
    ("graph", "wanted", "said"),
    [
        (None, "x.gif", f"-o x.gif: the workflow txt2img makes no .gif file; it can be saved as {FORMATS}."),
        (None, "x.TIFF", f"-o x.TIFF: the workflow txt2img makes no .TIFF file; it can be saved as {FORMATS}."),
        (None, "x.mp4", f"-o x.mp4: the workflow txt2img makes no .mp4 file; it can be saved as {FORMATS}."),
        (graphs.picture(), "x.txt", f"-o x.txt: the graph makes no .txt file; it can be saved as {FORMATS}."),
        (VIDEO, "x.png", f"-o x.png: the graph makes no .png file; it can be saved as {VIDEOS}."),
        (VIDEO, "x.gif", f"-o x.gif: the graph makes no .gif file; it can be saved as {VIDEOS}."),
    ],
)
def test_an_ending_that_can_t_be_made_is_refused_before_anything_runs(
    maker: list[str],
    capsys: pytest.CaptureFixture[str],
    sim: Simulator,
    graph: dict[str, Any] | None,
    wanted: str,
    said: str,
) -> None:
    workflow = ["-w", "txt2img"] if graph is None else ["-w", graph_file(graph)]
    assert main(["generate", "x", *workflow, "-o", wanted, *maker]) == 2
    assert capsys.readouterr() == ("", f"app.py generate: {said}\n")
    assert sim.history == {}


def test_the_default_workflow_is_looked_at_where_none_is_named(
    maker: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "x", "-o", "x.gif", *maker]) == 2
    assert "makes no .gif file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("graph", "wanted"),
    [(VIDEO, "x.mp4"), (FILM, "x.webp"), (FILM, "x"), (graphs.picture(), "x.v2"), (graphs.picture(), "x.JPG")],
)
def test_an_ending_that_can_be_made_is_not_refused(maker: list[str], graph: dict[str, Any], wanted: str) -> None:
    assert main(["generate", "-w", graph_file(graph), "-o", wanted, *maker]) == 0
    assert Path(wanted).stat().st_size
