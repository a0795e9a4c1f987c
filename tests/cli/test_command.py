"""`python app.py generate`: the same path from the command line."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import responses
from PIL import Image, UnidentifiedImageError
from responses import matchers

from comfybridge.cli.main import main
from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import ROOT, graphs
from tests.cli.made import SMALL, TEXT_AND_PICTURES, UNSURE, VIDEO, graph_file
from tests.forking import Program
from tests.media.pictures import exif, texts
from tests.served import served
from tests.waiting import SECONDS


@pytest.fixture(params=["--url", "--comfyui-url", "--demo"])
def maker(request: pytest.FixtureRequest, sim: Simulator) -> list[str]:
    """The option that says who makes the picture; the demo brings a ComfyUI of its own."""
    if request.param == "--demo":
        return ["--demo"]
    return [request.param, sim.url if request.param == "--comfyui-url" else request.getfixturevalue("bridge_url")]


def test_a_picture_is_saved_where_it_was_wanted(maker: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["generate", "a lighthouse at dusk", "-w", "txt2img", *SMALL, "-p", "seed=7", "-o", "out.png", *maker])
        == 0
    )
    with Image.open("out.png") as picture:
        assert picture.size == (64, 64)
    said = capsys.readouterr()
    assert said.out == "out.png\n"
    assert "seed 7" in said.err


def test_several_pictures_get_numbers_and_without_a_name_their_own(maker: list[str], tmp_path: Path) -> None:
    assert main(["generate", "x", *SMALL, "-p", "batch_size=2", "-o", "out.png", *maker]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out.png", "out_2.png"}
    assert main(["generate", "x", *SMALL, *maker]) == 0
    assert len(list(tmp_path.glob("ComfyUI_*.png"))) == 1


def test_a_preset_is_used(maker: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    size = ["-p", "width=64", "-p", "height=64"]
    assert main(["generate", "x", *size, "--preset", "quality=low", "-o", "out.png", *maker]) == 0
    with Image.open("out.png") as picture:
        assert json.loads(picture.info["prompt"])["3"]["inputs"]["steps"] == 10
    capsys.readouterr()
    assert main(["generate", "x", *size, "--preset", "quality", *maker]) == 2
    assert "--preset takes NAME=VALUE, not 'quality'." in capsys.readouterr().err


def test_a_graph_of_one_s_own_is_run(maker: list[str]) -> None:
    Path("mine.json").write_text(json.dumps(graphs.picture(40, 24)))
    assert main(["generate", "-w", "mine.json", "-p", "1.width=48", "-o", "out.png", *maker]) == 0
    with Image.open("out.png") as picture:
        assert picture.size == (48, 24)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["x", "-p", "steps=0"], 3, "steps is 0; it must be an integer from 1 to 10000."),
        (["x", "-p", "steps"], 2, "-p takes NAME=VALUE, not 'steps'."),
        (["x", "-w", "nope"], 3, "There is no workflow 'nope'"),
        (["x", "-w", "nope.json"], 2, "nope.json"),
        (["x", "-w", "words.json"], 2, "words.json is neither JSON nor a picture."),
        (["x", "-w", "plain.png"], 2, "plain.png contains no graph"),
        (["x", "-o", "nowhere/out.png"], 2, "nowhere to save files in."),
        (["x", "-o", "folder"], 2, "-o takes the name of a file, and 'folder' is a folder."),
    ],
)
def test_a_failure_is_one_line_and_a_code(
    maker: list[str], capsys: pytest.CaptureFixture[str], sim: Simulator, arguments: list[str], code: int, said: str
) -> None:
    Path("words.json").write_text("a cat")
    Image.new("RGB", (8, 8)).save("plain.png")
    Path("folder").mkdir()
    assert main(["generate", *arguments, *maker]) == code
    assert sim.history == {}
    error = capsys.readouterr().err
    assert error.startswith("app.py generate: ")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("option", ["--url", "--comfyui-url"])
def test_nobody_there_is_said_so(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert main(["generate", "x", option, "http://127.0.0.1:1"]) == 4
    assert "http://127.0.0.1:1" in capsys.readouterr().err


def test_what_is_no_bridge_is_said_so(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "x", "--url", sim.url]) == 4
    assert "is a bridge there?" in capsys.readouterr().err


def test_who_makes_it_can_only_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["generate", "x", "--demo", "--url", "http://x"])
    assert ended.value.code == 2


# -- what is saved, and as what


@pytest.mark.parametrize(
    ("graph", "wanted", "made"),
    [
        (TEXT_AND_PICTURES, "out.png", {"out.txt": "", "out.png": "PNG", "out_2.png": "PNG"}),
        (TEXT_AND_PICTURES, "out.jpeg", {"out.txt": "", "out.jpeg": "JPEG", "out_2.jpeg": "JPEG"}),
        (TEXT_AND_PICTURES, "out.txt", {"out.txt": "", "out.png": "PNG", "out_2.png": "PNG"}),
        (graphs.picture(batch=2), "out", {"out": "PNG", "out_2": "PNG"}),
        (graphs.picture(), "version 1.5", {"version 1.5": "PNG"}),
        (VIDEO, "out.MP4", {"out.MP4": ""}),
    ],
)
def test_the_name_that_was_wanted_goes_to_what_fits_its_ending(
    maker: list[str], tmp_path: Path, graph: dict[str, Any], wanted: str, made: dict[str, str]
) -> None:
    assert main(["generate", "-w", graph_file(graph), "-o", wanted, *maker]) == 0
    Path("graph.json").unlink()
    assert {path.name: format_of(path) for path in tmp_path.iterdir()} == made


@pytest.mark.parametrize("wanted", ["out.gif", "out.mp4", "out.TIFF"])
def test_what_was_not_made_as_wanted_is_a_failure_and_saved_all_the_same(
    maker: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, wanted: str
) -> None:
    Path("graph.json").write_text(json.dumps(UNSURE))
    assert main(["generate", "-w", "graph.json", "-o", wanted, *maker]) == 1
    ending = Path(wanted).suffix
    said = f"app.py generate: The workflow made no {ending} file. Its outputs are saved: out.png.\n"
    assert capsys.readouterr() == ("", said)
    assert {path.name for path in tmp_path.iterdir()} == {"graph.json", "out.png"}


def format_of(path: Path) -> str:
    try:
        with Image.open(path) as picture:
            return picture.format or ""
    except UnidentifiedImageError:
        return ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("save", ["SaveImage", "SaveImageWebsocket"])
def test_what_can_t_be_written_can_be_fetched_again_if_that_is_so(
    maker: list[str], capsys: pytest.CaptureFixture[str], sim: Simulator, bridge_url: str, save: str
) -> None:
    Path("graph.json").write_text(json.dumps(graphs.picture(save=save)))
    Path("out.png").symlink_to("/dev/full")
    assert main(["generate", "-w", "graph.json", "-o", "out.png", *maker]) == 1
    said = capsys.readouterr().err
    assert said.startswith("app.py generate: out.png can't be written: No space left on device. ")
    assert said.count("\n") == 1
    if maker == ["--demo"]:
        assert "gone with the demo" in said
        return
    [prompt_id] = sim.history
    again = {
        "--url": f"{bridge_url}/results/{prompt_id} has the outputs for as long as ComfyUI remembers them.",
        "--comfyui-url": f"ComfyUI at {sim.url} still has the outputs, as prompt {prompt_id}.",
    }
    gone = f"Prompt {prompt_id} has run, but not all of its outputs can be fetched again."
    assert said.endswith(f" {gone if save == 'SaveImageWebsocket' else again[maker[0]]}\n")


# -- what is asked for


@pytest.mark.parametrize("ending", ["png", "webp", "json"])
def test_the_graph_in_a_picture_that_comfyui_made_is_run(maker: list[str], sim: Simulator, ending: str) -> None:
    picture = Path(f"picture.{ending}")
    graph = graphs.picture(40, 24)
    if ending == "png":
        Image.new("RGB", (8, 8)).save(picture, pnginfo=texts(prompt=graph))
    elif ending == "webp":
        Image.new("RGB", (8, 8)).save(picture, exif=exif(prompt=graph))
    else:
        picture.write_text(json.dumps(graph))
    assert main(["generate", "-w", str(picture), "-p", "1.width=48", "-o", "out.png", *maker]) == 0
    with Image.open("out.png") as made:
        assert made.size == (48, 24)


@pytest.mark.parametrize(
    ("value", "text"),
    [("5", "5"), ("true", "true"), ("[1]", "[1]"), ("dogs", "dogs"), ("", ""), ('"5"', "5"), ("1e3", "1e3")],
)
def test_a_parameter_that_is_a_text_takes_numbers_as_one(maker: list[str], value: str, text: str) -> None:
    given = ["-p", f"negative_prompt={value}", "-p", "9.filename_prefix=7", *SMALL]
    assert main(["generate", "x", *given, "-o", "out.png", *maker]) == 0
    with Image.open("out.png") as made:
        graph = json.loads(made.info["prompt"])
    written = {each["inputs"]["text"] for each in graph.values() if each["class_type"] == "CLIPTextEncode"}
    assert written == {"x", text}


# -- Ctrl-C


def interrupted(arguments: list[str], number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    """Run the command on a terminal, and press Ctrl-C (or send another signal) when its bar shows.

    Returns:
        The exit code, and what the terminal shows then.
    """
    terminal, inside = os.openpty()
    with open(os.devnull, "w") as printed:
        command = [str(ROOT / "app.py"), "generate", *arguments]
        process = Program(command, os.environ, printed.fileno(), inside, cwd=os.getcwd())
    os.close(inside)
    shown = ""
    try:
        while "%" not in shown:
            shown += os.read(terminal, 1000).decode()
        process.send_signal(number)
        process.wait(SECONDS)
        return process.returncode, os.read(terminal, 1000).decode()
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
@pytest.mark.parametrize("option", ["--url", "--comfyui-url"])
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_cancels_the_prompt(
    sim: Simulator, bridge_url: str, option: str, number: signal.Signals, exit_code: int
) -> None:
    sim.hold()
    code, shown = interrupted(["x", *SMALL, option, bridge_url if option == "--url" else sim.url], number)
    sim.wait_until_idle()
    [(prompt_id, entry)] = sim.history.items()
    assert (code, shown.strip()) == (exit_code, f"app.py generate: Prompt {prompt_id} was cancelled.")
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
@pytest.mark.parametrize(
    ("option", "fault"),
    [
        ("--url", {"status": 500}),
        ("--comfyui-url", {"status": 500}),
        ("--comfyui-url", {"delay": 10 * SECONDS}),
    ],
)
def test_a_prompt_that_can_t_be_cancelled_is_named_soon(
    sim: Simulator, bridge_url: str, option: str, fault: dict[str, Any]
) -> None:
    sim.hold()
    sim.fail_route("/interrupt", times=None, **fault)
    code, shown = interrupted(["x", *SMALL, option, bridge_url if option == "--url" else sim.url])
    assert code == 130
    assert f"app.py generate: Prompt {sim.running[0]} could not be cancelled: " in shown


# Answers of a bridge, and of other programs at its address.
ELSEWHERE = "http://bridge.example:8189"
EVENTS = "text/event-stream; charset=utf-8"
PROGRESS = 'event: progress\ndata: {"percent": 50, "class_type": "KSampler", "value": 1, "max": 2}\n\n'
RESULT = {
    "outputs": [{"index": 0, "media_type": "image/png", "filename": "made.png"}],
    "images": [base64.b64encode(b"not looked into").decode()],
    "seed": 7,
    "warnings": ["mind the gap"],
}


@pytest.fixture
def elsewhere() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.mark.parametrize(
    ("status", "content_type", "body", "code", "said"),
    [
        (200, "text/html", "<html>", 4, f"{ELSEWHERE}/generate answered 200; is a bridge there?"),
        (404, "application/json", "[]", 4, f"{ELSEWHERE}/generate answered 404; is a bridge there?"),
        (503, "application/json", '{"error": "Too many wait.", "type": "busy"}', 7, "Too many wait."),
        (422, "application/json", '{"error": "No.", "type": "new"}', 3, "No."),
        (507, "application/json", '{"error": "Oh.", "type": "new"}', 5, "Oh."),
        (200, EVENTS, PROGRESS, 4, f"The bridge at {ELSEWHERE} cut its answer off."),
        (
            200,
            EVENTS,
            f"{PROGRESS}event: result\ndata: {{",
            4,
            f"The bridge at {ELSEWHERE} sent an answer that makes",
        ),
        (200, EVENTS, 'event: error\ndata: {"error": "It broke.", "type": "execution_failed"}\n\n', 5, "It broke."),
        (200, EVENTS, 'event: error\ndata: {"error": "Late.", "type": "timeout"}\n\n', 6, "Late."),
        (200, EVENTS, 'event: error\ndata: {"error": "Gone.", "type": "interrupted"}\n\n', 8, "Gone."),
    ],
)
def test_what_a_bridge_elsewhere_does_not_make_is_said_in_one_line(
    elsewhere: responses.RequestsMock,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    status: int,
    content_type: str,
    body: str,
    code: int,
    said: str,
) -> None:
    elsewhere.get(f"{ELSEWHERE}/workflows", status=404)
    elsewhere.post(f"{ELSEWHERE}/generate", body=body, status=status, content_type=content_type)
    assert main(["generate", "x", "-o", "out.png", "--url", ELSEWHERE]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"app.py generate: {said}")
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["--api-key", "secret"], None), ([], "secret"), (["--api-key", "secret"], "another"), ([], " secret\n")],
)
def test_a_bridge_elsewhere_is_sent_a_key(
    elsewhere: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    environment: str | None,
) -> None:
    (tmp_path / "netrc").write_text("machine bridge.example login me password mine")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    if environment is not None:
        monkeypatch.setenv("COMFYBRIDGE_API_KEY", environment)
    elsewhere.post(
        f"{ELSEWHERE}/generate",
        body=f"event: result\ndata: {json.dumps(RESULT)}\n\n",
        content_type=EVENTS,
        match=[matchers.header_matcher({"Authorization": "Bearer secret"})],
    )
    assert main(["generate", "x", "-o", "out.png", "--url", ELSEWHERE, *arguments]) == 0


def test_a_key_is_for_a_bridge_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "x", "--demo", "--api-key", "secret"])
    assert "--api-key is for the bridge that --url names" in capsys.readouterr().err


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_bridge_that_wants_a_key_says_so(
    sim: Simulator, capsys: pytest.CaptureFixture[str], key: str | None
) -> None:
    with served(create_app(load_settings(comfyui_url=sim.url, api_keys="secret"))) as url:
        assert main(["generate", "x", "--url", url, *(["--api-key", key] if key else [])]) == 3
        assert "API key" in capsys.readouterr().err
        assert main(["generate", "x", *SMALL, "--url", url, "--api-key", "secret"]) == 0


def test_what_a_bridge_elsewhere_makes_is_saved(
    elsewhere: responses.RequestsMock, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {"params": {"prompt": "x"}, "output": {"format": "png"}}
    elsewhere.post(
        f"{ELSEWHERE}/generate",
        body=f": awake\n\n{PROGRESS}event: result\ndata: {json.dumps(RESULT)}\n\n",
        content_type=EVENTS,
        match=[
            matchers.multipart_matcher({"request": (None, json.dumps(wanted)), "params.steps": (None, "3")}),
            matchers.header_matcher({"Accept": "text/event-stream"}),
        ],
    )
    assert main(["generate", "x", "-p", "steps=3", "-o", "out.png", "--url", f"{ELSEWHERE}/"]) == 0
    assert Path("out.png").read_bytes() == b"not looked into"
    assert capsys.readouterr() == ("out.png\n", "Warning: mind the gap\nseed 7\n")


def test_no_file_is_replaced_that_was_not_named(maker: list[str], tmp_path: Path) -> None:
    """Names come from ComfyUI, which must not choose what is written over."""
    graph = graphs.picture()
    assert main(["generate", "-w", graph_file(graph), *maker]) == 0
    (first,) = tmp_path.glob("test_*.png")
    first.write_bytes(b"mine")
    assert main(["generate", "-w", graph_file(graph), *maker]) == 0
    assert first.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.glob("test_*(2).png")] == [f"{first.stem} (2).png"]


@responses.activate
def test_what_an_answer_says_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"status": "error", "error": "\x1b]0;owned\x07\nline two"}
    responses.post(f"{ELSEWHERE}/generate", json=error, status=400)
    assert main(["generate", "x", "--url", ELSEWHERE]) == 3
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert len(said.splitlines()) == 1
