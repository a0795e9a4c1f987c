"""The state folder, and the key for links that is drawn once and kept there."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from comfybridge.settings import SettingsError, load_settings
from comfybridge.state import LINK_KEY, StateFolder, link_key
from tests import ROOT

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
DRAW = """
import sys
from pathlib import Path
from comfybridge.state import StateFolder, link_key
sys.stdin.readline()
print(link_key(StateFolder(Path(sys.argv[1])), None))
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="each system has a place of its own")
def test_the_folder_is_where_the_system_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = StateFolder()
    assert list(tmp_path.iterdir()) == []  # nothing is made before it is needed
    assert folder.path() == tmp_path / "comfybridge"
    assert folder.path().is_dir()


@POSIX
def test_only_the_user_can_look_into_it(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "a" / "b")
    link_key(folder, None)
    assert folder.path().stat().st_mode & 0o777 == 0o700
    assert (folder.path() / LINK_KEY).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    folder.path().rmdir()
    assert folder.path().is_dir()


def test_a_drawn_key_is_kept(tmp_path: Path) -> None:
    key = link_key(StateFolder(tmp_path), None)
    assert len(key) == 64
    assert link_key(StateFolder(tmp_path), None) == key
    assert link_key(StateFolder(tmp_path / "other"), None) != key
    assert sorted(each.name for each in tmp_path.glob("*.part")) == []


@pytest.mark.parametrize("left", [b"", b"\n", bytes(65), b"\xff\xfe\x00"], ids=["empty", "blank", "zeros", "no text"])
def test_a_file_without_a_key_is_replaced(tmp_path: Path, left: bytes) -> None:
    (tmp_path / LINK_KEY).write_bytes(left)
    key = link_key(StateFolder(tmp_path), None)
    assert (tmp_path / LINK_KEY).read_text().strip() == key
    assert len(key) == 64


def test_a_chosen_key_needs_no_folder(tmp_path: Path) -> None:
    assert link_key(StateFolder(tmp_path / "state"), "a key of one's own") == "a key of one's own"
    assert not (tmp_path / "state").exists()


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRAW, str(tmp_path)]
    drawing = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(4)
    ]
    drawn = {process.communicate("go\n")[0].strip() for process in drawing}
    assert drawn == {(tmp_path / LINK_KEY).read_text().strip()}


def test_without_a_usable_folder_the_processes_of_this_machine_still_share_one(
    temporary: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    folders = [StateFolder(tmp_path / "file" / "state") for _ in range(2)]
    with caplog.at_level(logging.WARNING):
        keys = {link_key(folder, None) for folder in folders}
    assert len(keys) == 1
    assert all(folder.path().parent == temporary for folder in folders)
    assert len(caplog.messages) == len(folders)  # said once by each
    assert "COMFYBRIDGE_STATE_DIR" in caplog.messages[0]


def test_without_any_folder_a_process_has_a_key_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    folder = StateFolder(tmp_path / "file" / "state")
    assert len(link_key(folder, None)) == 64
    assert "in this process only" in caplog.text


def test_a_key_that_is_too_short_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"^COMFYBRIDGE_LINK_KEY must have at least 16 characters\.$"):
        load_settings(link_key="short-secret")
    settings = load_settings(link_key="a-secret-of-enough-characters")
    assert "a-secret" not in repr(settings)
