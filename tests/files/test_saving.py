"""Files are saved whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfybridge import Bridge, GenerationRequest, load_settings
from comfybridge.errors import ComfyUIError
from comfybridge.saving import safe_name, save
from comfybridge.simulator import Simulator
from tests import graphs


def breaking_off() -> Iterator[bytes]:
    yield b"the beginning"
    raise ComfyUIError("It broke off.")


def test_a_file_is_saved_and_nothing_else(tmp_path: Path) -> None:
    assert save([b"a", b"b"], tmp_path / "file") == tmp_path / "file"
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"ab")]


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ComfyUIError):
        save(breaking_off(), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_what_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"older")
    with pytest.raises(ComfyUIError):
        save(breaking_off(), tmp_path / "file")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"older"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"older")
    (tmp_path / "link").symlink_to("file")
    save([b"newer"], tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"newer"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no devices in folders")
def test_a_device_is_written_to_and_not_replaced() -> None:
    save([b"gone"], os.devnull)
    assert not Path(os.devnull).is_file()


def test_an_output_that_breaks_off_leaves_no_file(sim: Simulator, tmp_path: Path) -> None:
    with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
        generation = bridge.generate(GenerationRequest(graph=graphs.picture()))
        sim.fail_route("/view", 200, b"x" * 1000, cut=500)
        with pytest.raises(ComfyUIError):
            generation.images[0].save(tmp_path / "picture.png")
        assert list(tmp_path.iterdir()) == []
        assert generation.images[0].save(tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("ComfyUI_00001_.png", "ComfyUI_00001_.png"),
        ("日本 (2).png", "日本 (2).png"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..\\..\\x.png", "_.._x.png"),
        ("C:\\x.png", "C_x.png"),
        ("/etc/x.png", "_etc_x.png"),
        ("...", "output"),
        ("", "output"),
        ("a.png. .", "a.png"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("com1.png", "_com1.png"),
        ("console.png", "console.png"),
        ("a\r\nb\0c.png", "a_b_c.png"),
        ('a"b<c>d|e?f*g.png', "a_b_c_d_e_f_g.png"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("a\ud800\x85\u2028b.png", "a_b.png"),
        ("x" * 5000 + ".png", "x" * 226 + ".png"),
        ("日" * 500 + ".png", "日" * 75 + ".png"),
        ("x." + "y" * 5000, "x." + "y" * 228),
    ],
)
def test_names_are_safe_everywhere(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert safe_name(safe) == safe
    assert len(safe.encode()) <= 230
