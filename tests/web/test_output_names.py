"""What a node calls its files may be unfit for a header or a disk; what it made is handed out all the same."""

from __future__ import annotations

import base64
import io
import os
import zipfile
from typing import Any

import pytest
from flask.testing import FlaskClient

from comfybridge.settings import load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests import graphs
from tests.comfyui.exchange import Exchange
from tests.graphs import node
from tests.known_ids import queued_as
from tests.media.pictures import drawn, encoded
from tests.web.answers import failure, success
from tests.web.history import GRAPH, OUTPUT_NODE, entry

PNG = encoded(drawn())
ON_NO_DRIVE = pytest.mark.skipif(os.name == "nt", reason="There it is a drive, and leads out")


def ask(
    files: list[dict[str, str]],
    *,
    accept: str = "application/json",
    system: str | None = None,
    view_status: int | None = 200,
) -> tuple[Any, list[dict[str, str]]]:
    """The bridge's answer where SaveImage names those files, and what ComfyUI was asked for.

    Args:
        system: what ComfyUI says when it is asked what it runs on; None: it must not be asked.
        view_status: how it answers when it is asked for a file; None: it must not be asked.
    """
    with Exchange() as server, queued_as("p1"):
        server.get("/object_info/SaveImage", json_body=OUTPUT_NODE)
        if system is not None:
            server.get("/system_stats", json_body={"system": {"os": system}})
        server.post("/prompt", json_body={"prompt_id": "p1", "number": 0, "node_errors": {}})
        server.get("/history/p1", json_body={"p1": entry({"images": files})})
        if view_status is not None:
            server.get("/view", PNG if view_status == 200 else b"", status=view_status)
        app = create_app(load_settings(comfyui_url=server.url, wait="poll"))
        response = app.test_client().post("/generate", json={"workflow": GRAPH}, headers={"Accept": accept})
        return response, [each.query for each in server.requests if each.path == "/view"]


def file(filename: str, subfolder: str = "", type: str = "output") -> dict[str, str]:
    return {"filename": filename, "subfolder": subfolder, "type": type}


@pytest.mark.parametrize(
    ("name", "asked", "shown", "folder"),
    [
        ("renders\\cat.png", "renders\\cat.png", "renders_cat.png", ""),
        ("C:\\renders\\cat.png", "C:\\renders\\cat.png", "C_renders_cat.png", ""),
        ("C:cat.png", "C:cat.png", "C_cat.png", ""),
        ("\\\\host\\share\\cat.png", "\\\\host\\share\\cat.png", "_host_share_cat.png", ""),
        ("a\tb.png", "a\tb.png", "a_b.png", ""),
        ("sub/cat.png", "cat.png", "cat.png", "sub"),
    ],
)
def test_a_file_is_asked_for_under_its_own_name_and_handed_out_under_a_fit_one(
    name: str, asked: str, shown: str, folder: str
) -> None:
    response, views = ask([file(name)], system="posix" if "\\" in name else None)

    body = success(response)
    assert base64.b64decode(body["images"][0]) == PNG
    assert (body["outputs"][0]["filename"], body["outputs"][0]["subfolder"]) == (shown, folder)
    assert [(each["filename"], each["subfolder"]) for each in views] == [(asked, folder)]


@pytest.mark.parametrize("accept", ["image/*", "application/zip"])
def test_the_fit_name_is_that_of_bytes_and_of_zips(accept: str) -> None:
    response, _ = ask([file("renders\\cat.png")], accept=accept, system="linux")

    assert response.status_code == 200
    if accept == "image/*":
        assert response.headers["Content-Disposition"] == 'inline; filename="renders_cat.png"'
        assert response.data == PNG
    else:
        with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
            assert archive.namelist() == ["renders_cat.png"]
            assert archive.read("renders_cat.png") == PNG


@pytest.mark.parametrize("system", ["nt", "win32"])
def test_on_windows_a_backslash_separates_folders_in_a_name_too(system: str) -> None:
    response, views = ask([file("renders\\cat.png", "mine")], system=system)

    assert success(response)["outputs"][0]["filename"] == "renders_cat.png"
    assert [(each["filename"], each["subfolder"]) for each in views] == [("cat.png", "mine/renders")]


@pytest.mark.parametrize(
    ("subfolder", "shown"),
    [
        ("C:/renders", ""),
        ("/srv/comfyui/output/a", ""),
        ("a/../b", "b"),
        ("a\nb/c", "a_b/c"),
        ("2026\\07", "2026\\07"),
    ],
)
def test_a_folder_that_comfyui_serves_is_asked_for_as_it_is_and_told_of_without_a_server_path(
    subfolder: str, shown: str
) -> None:
    response, views = ask([file("x.png", subfolder)])

    assert success(response)["outputs"][0]["subfolder"] == shown
    assert {each["subfolder"] for each in views} == {subfolder}


def test_a_path_that_comfyui_does_not_serve_is_an_error_that_names_the_node_and_not_the_path() -> None:
    response, _ = ask([file("passwd.png", "/etc")], view_status=403)

    said = failure(response, 502, "comfyui_error")["error"]
    assert said == "Node 2 names an output file that lies in none of ComfyUI's folders."


@pytest.mark.parametrize("name", ["a..b.png", "a\nb.png"])
def test_a_name_that_comfyui_serves_no_file_of_is_said_so(name: str) -> None:
    response, views = ask([file(name)], view_status=None)

    assert "two dots in a row or a line break" in failure(response, 502, "comfyui_error")["error"]
    assert views == []


def test_what_is_not_served_keeps_nothing_else_back() -> None:
    response, views = ask([file("../../x.png"), file("cat.png")])

    body = success(response)
    assert [each["filename"] for each in body["outputs"]] == ["cat.png"]
    assert body["warnings"] == ["Node 2 names an output file that lies in none of ComfyUI's folders."]
    assert [each["filename"] for each in views] == ["cat.png"]


@pytest.mark.parametrize("request_folders", [True, False])
@pytest.mark.parametrize(
    ("prefix", "folder", "name"),
    [
        ("renders\\cat", "renders", "cat"),
        ("a..b", "", "a.b"),
        ("wait...", "", "wait."),
        ("a\nb", "", "a_b"),
        ("my\\cats\\..cat", "my/cats", ".cat"),
        ("..", "", "ComfyUI"),
        ("a/../..", "", "ComfyUI"),
        ("v1..2/", "", "v1.2"),
        ("x" * 400, "", "x" * 230),
        ("猫" * 100 + "/" + "犬" * 100, "猫" * 76, "犬" * 76),
    ],
)
def test_a_prefix_is_made_one_that_every_comfyui_serves(
    make_app: Any, prefix: str, folder: str, name: str, request_folders: bool
) -> None:
    graph = graphs.picture()
    graph["2"]["inputs"]["filename_prefix"] = prefix

    body = success(
        make_app(request_folders=request_folders).test_client().post("/generate", json={"workflow": graph})
    )

    [output] = body["outputs"]
    assert output["filename"] == f"{name}_00001_.png"
    assert output["subfolder"].endswith(folder)
    assert output["subfolder"].startswith("comfybridge/") == request_folders


@pytest.mark.parametrize("is_linked", [False, True])
@pytest.mark.parametrize("prefix", ["../cat", "..\\cat", "a/../../cat", "../output/cat", "/abs/cat"])
def test_a_prefix_that_leads_out_is_refused_before_anything_runs(
    api: FlaskClient, sim: Simulator, prefix: str, is_linked: bool
) -> None:
    graph = graphs.picture()
    graph["3"] = node("PrimitiveString", value=prefix)
    graph["2"]["inputs"]["filename_prefix"] = ["3", 0] if is_linked else prefix

    said = failure(api.post("/generate", json={"workflow": graph}), 400, "invalid_request")["error"]

    assert "its filename_prefix leads out of ComfyUI's output folder" in said
    assert not sim.history


def test_a_prefix_from_the_root_that_leads_into_the_output_folder_is_one(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.picture()
    graph["2"]["inputs"]["filename_prefix"] = f"{sim.output_directory.as_posix()}/cat"

    assert success(api.post("/generate", json={"workflow": graph}))["outputs"][0]["filename"] == "cat_00001_.png"


@pytest.mark.skipif(os.name == "nt", reason="A backslash separates folders there")
def test_a_prefix_that_comes_over_a_link_can_hold_anything(api: FlaskClient, sim: Simulator) -> None:
    graph = graphs.picture()
    graph["3"] = node("StringConcatenate", string_a="renders\\", string_b="cat", delimiter="")
    graph["2"]["inputs"]["filename_prefix"] = ["3", 0]

    body = success(api.post("/generate", json={"workflow": graph}))

    assert body["outputs"][0]["filename"] == "renders_cat_00001_.png"
    [saved] = sim.output_directory.glob("*.png")
    assert base64.b64decode(body["images"][0]) == saved.read_bytes()


@ON_NO_DRIVE
@pytest.mark.parametrize(
    ("prefix", "folder", "name"), [("C:/..x", "C_", ".x"), ("D:\\a..b", "D_", "a.b"), ("\\a..b", "", "_a.b")]
)
def test_a_prefix_that_is_a_path_on_windows_is_served_elsewhere(
    api: FlaskClient, prefix: str, folder: str, name: str
) -> None:
    graph = graphs.picture()
    graph["2"]["inputs"]["filename_prefix"] = prefix

    [output] = success(api.post("/generate", json={"workflow": graph}))["outputs"]

    assert (output["filename"], output["subfolder"]) == (f"{name}_00001_.png", folder)


LINKED = [("a..b", "a.b"), ("x/..y", ".y"), ("v1.5...final", "v1.5.final"), ("a\nb", "a_b"), ("..", "ComfyUI")]


@pytest.mark.parametrize(("prefix", "name"), LINKED)
def test_a_linked_prefix_that_is_known_beforehand_is_made_plain_beforehand(
    api: FlaskClient, sim: Simulator, prefix: str, name: str
) -> None:
    graph = graphs.picture()
    graph["3"] = node("PrimitiveString", value=prefix)
    graph["2"]["inputs"]["filename_prefix"] = ["3", 0]

    body = success(api.post("/generate", json={"workflow": graph}))

    assert body["outputs"][0]["filename"] == f"{name}_00001_.png"
    assert len(sim.history) == 1


def computed(prefix: str) -> dict[str, Any]:
    """A graph whose prefix is known only when it has run."""
    graph = graphs.txt2img("demo.safetensors", size=64)
    graph["10"] = node("StringConcatenate", string_a=prefix[:1], string_b=prefix[1:], delimiter="")
    graph["9"]["inputs"]["filename_prefix"] = ["10", 0]
    return graph


@pytest.mark.parametrize(("prefix", "name"), LINKED)
@pytest.mark.parametrize("wait", ["hub", "websocket", "poll"])
def test_a_prefix_that_is_known_only_afterwards_has_the_saver_alone_run_again(
    api: FlaskClient, sim: Simulator, prefix: str, name: str, wait: str
) -> None:
    graph = computed(prefix)

    body = success(api.post("/generate", json={"workflow": graph, "wait": wait}))

    [output] = body["outputs"]
    assert (output["filename"], body["warnings"]) == (f"{name}_00001_.png", [])
    assert len(body["images"]) == 1
    _, entry = sim.history.values()
    [cached] = [data["nodes"] for kind, data in entry["status"]["messages"] if kind == "execution_cached"]
    assert set(cached) == set(graph) - {"9"}


def test_other_outputs_of_such_a_graph_stay_what_they_are(api: FlaskClient, sim: Simulator) -> None:
    graph = computed("a..b")
    graph["11"] = node("SaveImage", filename_prefix="cat", images=["8", 0])

    body = success(api.post("/generate", json={"workflow": graph}))

    assert [each["filename"] for each in body["outputs"]] == ["a.b_00001_.png", "cat_00001_.png"]
    assert len(list(sim.output_directory.rglob("cat*.png"))) == 1


def test_an_idempotent_repeat_of_such_a_graph_runs_nothing(api: FlaskClient, sim: Simulator) -> None:
    headers, body = {"Idempotency-Key": "one"}, {"workflow": computed("a..b")}
    first = success(api.post("/generate", json=body, headers=headers))
    second = success(api.post("/generate", json=body, headers=headers))

    assert second["images"] == first["images"]
    assert len(list(sim.output_directory.rglob("*.png"))) == 2
