"""`Client`, in front of a bridge in front of the simulator, and `Bridge` beside it: one face."""

from __future__ import annotations

import base64
import inspect
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import responses
from PIL import Image

from comfybridge import (
    Bridge,
    BridgeError,
    Client,
    Generation,
    GenerationRequest,
    OutputOptions,
    Preview,
    Progress,
    Queued,
    SettingsError,
    load_settings,
)
from comfybridge.errors import (
    BridgeUnreachable,
    Busy,
    Forbidden,
    InvalidRequest,
    TimedOut,
    Unauthorized,
    UnknownPrompt,
    UnknownWorkflow,
    error_classes,
)
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.graphs import node
from tests.media.pictures import drawn, encoded
from tests.served import served

SMALL = {"width": 64, "height": 64, "steps": 3}
ELSEWHERE = "http://bridge.example:8189"
KEY = "a-key-that-nobody-guesses"


@pytest.fixture
def client(sim: Simulator) -> Iterator[Client]:
    with served(create_app(load_settings(comfyui_url=sim.url))) as url:
        yield Client(url)


@pytest.fixture(params=["Client", "Bridge"])
def maker(request: pytest.FixtureRequest, sim: Simulator) -> Iterator[Client | Bridge]:
    if request.param == "Bridge":
        with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
            yield bridge
    else:
        with Client(request.getfixturevalue("client").url) as client:
            yield client


# -- one face


def test_a_text_and_values_by_name_make_a_picture(maker: Client | Bridge, tmp_path: Path) -> None:
    generation = maker.generate("a cat", seed=7, **SMALL)
    saved = generation.images[0].save(tmp_path / "cat.png")
    with Image.open(saved) as picture:
        assert picture.size == (64, 64)
    assert generation.images[0].data == saved.read_bytes()
    assert (generation.seed, generation.params["prompt"], generation.params["steps"]) == (7, "a cat", 3)


@pytest.mark.parametrize(
    "asked",
    [
        graphs.picture(40, 24),
        GenerationRequest(graph=graphs.picture(40, 24)),
    ],
    ids=["graph", "request"],
)
def test_whole_graphs_and_requests_are_taken_too(maker: Client | Bridge, asked: Any) -> None:
    [image] = maker.generate(asked).images
    with Image.open(io.BytesIO(image.read())) as picture:
        assert picture.size == (40, 24)


def test_values_of_the_request_itself_are_told_from_parameters(maker: Client | Bridge) -> None:
    generation = maker.generate(graphs.picture(40, 24), output={"format": "webp"}, timeout=30, params={"1.width": 48})
    [image] = generation.images
    with Image.open(io.BytesIO(image.load().data)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (48, 24))
    with pytest.raises(InvalidRequest, match="timeout"):
        maker.generate("x", timeout=-1)


def test_files_go_in_by_name_as_bytes_or_as_a_path(maker: Client | Bridge, tmp_path: Path) -> None:
    graph = {"1": node("LoadImage", image="mine.png"), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}
    (tmp_path / "mine.png").write_bytes(encoded(drawn(size=(32, 16))))
    for file in (encoded(drawn(size=(32, 16))), tmp_path / "mine.png", str(tmp_path / "mine.png")):
        [image] = maker.generate(graph, images={"mine.png": file}).images
        with Image.open(io.BytesIO(image.data)) as picture:
            assert picture.size == (32, 16)


def test_progress_comes_in_percent(maker: Client | Bridge) -> None:
    told: list[Progress] = []
    maker.generate("a cat", on_progress=told.append, **SMALL)
    percents = [each.percent for each in told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert {each.class_type for each in told} >= {"KSampler"}


def test_texts_come_as_outputs_too(maker: Client | Bridge) -> None:
    [output] = maker.generate({"1": node("PreviewAny", source="a text")}).outputs
    assert (output.kind, output.text, output.data) == ("text", "a text", b"a text")


def test_errors_are_of_the_same_classes(maker: Client | Bridge) -> None:
    with pytest.raises(UnknownWorkflow, match="There is no workflow 'nope'"):
        maker.generate("x", workflow="nope")
    with pytest.raises(InvalidRequest, match="steps is 0"):
        maker.generate("x", steps=0)
    with pytest.raises(InvalidRequest, match="stepz"):
        maker.generate("x", stepz=4, on_progress=print)


def test_a_time_that_is_up_names_its_prompt(maker: Client | Bridge, sim: Simulator) -> None:
    maker.generate(graphs.picture())  # so that the bridge has made all calls that it makes only once
    sim.hold()
    with pytest.raises(TimedOut) as raised:
        maker.generate(graphs.picture(), timeout=2)
    assert raised.value.prompt_id
    sim.release()


def test_a_complete_request_takes_no_further_values(maker: Client | Bridge) -> None:
    with pytest.raises(TypeError, match="steps"):
        maker.generate(GenerationRequest(), steps=4)


def test_both_are_called_alike() -> None:
    ours, theirs = inspect.signature(Client.generate), inspect.signature(Bridge.generate)
    shared = [name for name in ours.parameters if name in theirs.parameters]
    assert shared == list(ours.parameters)
    assert all(ours.parameters[name].default == theirs.parameters[name].default for name in shared)


# -- what a client has beside that


def test_a_form_says_all_that_a_request_has() -> None:
    """Each value, and not its default, arrives."""
    request = GenerationRequest(
        graph=graphs.picture(),
        params={"1.width": 48},
        timeout=17,
        wait="poll",
        on_timeout="keep",
        retries=2,
        front=True,
        number=-1.0,
        extra_data={"mine": 1},
        partial_execution_targets=["2"],
        dynamic_texts=False,
        output=OutputOptions(format="jpeg", quality=50, nodes=("2",), max_size=32),
    )
    with responses.RequestsMock() as elsewhere:
        elsewhere.post(
            f"{ELSEWHERE}/generate", json={"status": "error", "type": "busy", "error": "Busy."}, status=503
        )
        with pytest.raises(Busy):
            Client(ELSEWHERE).generate(request)
        sent = elsewhere.calls[0].request.body
    assert isinstance(sent, bytes)
    body = json.loads(sent[sent.index(b"{") : sent.rindex(b"}") + 1])
    wanted = {
        "workflow": request.graph,
        "params": {"1.width": 48},
        "timeout": 17,
        "wait": "poll",
        "on_timeout": "keep",
        "retries": 2,
        "front": True,
        "number": -1.0,
        "extra_data": {"mine": 1},
        "partial_execution_targets": ["2"],
        "dynamic_texts": False,
        "output": {"format": "jpeg", "quality": 50, "nodes": ["2"], "max_size": 32},
        "keepalive": 15.0,
    }
    assert body == wanted


def test_events_end_with_the_generation(client: Client) -> None:
    *happened, end = client.events("a cat", **SMALL)
    assert isinstance(happened[0], Queued)
    assert {type(each) for each in happened[1:]} <= {Progress, Preview}
    assert any(isinstance(each, Progress) for each in happened)
    assert isinstance(end, Generation)
    assert end.prompt_id == happened[0].prompt_id


def test_leaving_the_events_cancels_the_prompt(
    client: Client, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfybridge.web.answers.streaming.HEARTBEAT_SECONDS", 0.1)  # how this server finds out
    sim.hold()
    events = client.events("a cat", **SMALL)
    assert isinstance(next(events), Queued)
    events.close()
    sim.wait_until_idle()
    [entry] = sim.history.values()
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"


def test_a_prompt_can_be_found_again_and_cancelled(client: Client, sim: Simulator) -> None:
    done = client.generate(graphs.picture())
    again = client.result(done.prompt_id)
    assert again is not None
    assert again.images[0].data == done.images[0].data
    with pytest.raises(UnknownPrompt):
        client.cancel(done.prompt_id)
    sim.hold()
    events = client.events("a cat", **SMALL)
    queued = next(events)
    assert isinstance(queued, Queued)
    assert client.result(queued.prompt_id) is None
    assert client.cancel(queued.prompt_id) in ("pending", "running")
    events.close()


def test_templates_are_told(client: Client) -> None:
    assert client.workflows()["default"] == "txt2img"
    assert "steps" in client.workflow("txt2img")["parameters"]["properties"]
    with pytest.raises(UnknownWorkflow):
        client.workflow("a/b")


def test_a_key_is_sent_and_a_wrong_one_refused(sim: Simulator) -> None:
    with served(create_app(load_settings(comfyui_url=sim.url, api_keys=f"shop={KEY}", workflows_only=True))) as url:
        assert Client(url, KEY).generate("x", **SMALL).images
        with pytest.raises(Unauthorized, match="API key"):
            Client(url, "another").generate("x")
        with pytest.raises(Forbidden):
            Client(url, KEY).generate(graphs.picture())


def test_a_request_with_a_key_of_its_own_runs_once(client: Client) -> None:
    first, second = (client.generate("x", idempotency_key="once", seed=1, **SMALL) for _ in range(2))
    assert first.prompt_id == second.prompt_id


def test_an_answer_of_megabytes_comes_whole(client: Client) -> None:
    """Over the stream of events, as one line."""
    noise = Image.effect_noise((1600, 1200), 90).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    graph = {"1": node("LoadImage", image="n.png"), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}
    *_, end = client.events(graph, images={"n.png": buffer.getvalue()})
    assert isinstance(end, Generation)
    assert len(end.images[0].data) > 2_000_000
    with Image.open(io.BytesIO(end.images[0].data)) as picture:
        assert picture.convert("RGB").tobytes() == noise.tobytes()


# -- bridges that are none, or not there


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://x", "The bridge's URL must begin with http:// or https://."),
        ("http://me:secret@x:99999", "The bridge's URL has a port that is not a number from 0 to 65535."),
    ],
)
def test_what_is_no_address_is_said_so(url: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Client(url)
    assert raised.value.message == said


def test_nobody_there_is_said_so() -> None:
    with pytest.raises(BridgeUnreachable, match=r"^The bridge at http://127\.0\.0\.1:1 refuses the connection"):
        Client("127.0.0.1:1").generate("x")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>", "/generate answered 200; is a bridge there?"),
        (404, "Not Found", "/generate answered 404; is a bridge there?"),
        (200, "   {}", "sent an answer that makes no sense."),
        (200, '{"outputs": [{}], "images": [], "seed": 1, "warnings": []}', "sent an answer that makes no sense."),
        (200, "[]", "is a bridge there?"),
    ],
)
def test_what_is_no_bridge_is_said_so(status: int, body: str, said: str) -> None:
    with responses.RequestsMock() as elsewhere:
        elsewhere.post(f"{ELSEWHERE}/generate", body=body, status=status)
        with pytest.raises(BridgeUnreachable) as raised:
            Client(ELSEWHERE).generate("x")
    assert said in raised.value.message


def test_an_error_after_the_answer_began_is_raised() -> None:
    body = '   {"status": "error", "type": "timeout", "error": "Late.", "prompt_id": "p", "request_id": "r"}'
    with responses.RequestsMock() as elsewhere:
        elsewhere.post(f"{ELSEWHERE}/generate", body=body)
        with pytest.raises(TimedOut, match="Late") as raised:
            Client(ELSEWHERE).generate("x")
    assert raised.value.prompt_id == "p"


@pytest.mark.parametrize("kind", sorted(error_classes()))
def test_each_error_comes_over_as_it_was(kind: str) -> None:
    error = error_classes()[kind]
    body = {"status": "error", "type": kind, "error": "So.", "prompt_id": "p", "node": {"id": "3"}, "request_id": "r"}
    with responses.RequestsMock() as elsewhere:
        elsewhere.post(f"{ELSEWHERE}/generate", json=body, status=error.status, headers={"Retry-After": "7"})
        with pytest.raises(error) as raised:
            Client(ELSEWHERE).generate("x")
    assert type(raised.value) is error
    assert (raised.value.message, raised.value.node, raised.value.retry_after) == ("So.", {"id": "3"}, 7)


def test_an_error_of_a_newer_bridge_keeps_its_type_and_status() -> None:
    with responses.RequestsMock() as elsewhere:
        elsewhere.post(f"{ELSEWHERE}/generate", json={"type": "too_ugly", "error": "Ugly."}, status=422)
        with pytest.raises(BridgeError) as raised:
            Client(ELSEWHERE).generate("x")
    assert (raised.value.type, raised.value.status, raised.value.message) == ("too_ugly", 422, "Ugly.")


# -- in a notebook


def test_pictures_show_in_a_notebook(maker: Client | Bridge) -> None:
    [image] = maker.generate(graphs.picture()).images
    bundle = image._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {"image/png": base64.b64encode(image.data).decode()}


def test_what_notebooks_don_t_know_shows_as_part_of_a_page(maker: Client | Bridge) -> None:
    [image] = maker.generate(graphs.picture(), output={"format": "webp"}).images
    assert image._repr_mimebundle_()["text/html"].startswith('<img src="data:image/webp;base64,')
    [text] = maker.generate({"1": node("PreviewAny", source="a text")}).outputs
    assert text._repr_mimebundle_() == {"text/plain": "a text"}


def test_a_picture_that_is_gone_fails_no_cell(sim: Simulator) -> None:
    with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
        [image] = bridge.generate(graphs.picture()).images
        sim.fail_route("/view", times=None, status=404)
        assert "Output(" in image._repr_mimebundle_()["text/plain"]
