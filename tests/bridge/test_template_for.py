"""Which template serves a task of which a request names none: `Bridge.template_for`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from comfybridge import Bridge, load_settings
from comfybridge.deadline import Deadline
from comfybridge.errors import BrokenWorkflow, ComfyUIUnreachable, UnknownWorkflow
from comfybridge.simulator import Simulator
from comfybridge.tasks import Task
from tests import graphs
from tests.web.saved_files import picture

Put = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "workflows").mkdir()
    return tmp_path / "workflows"


@pytest.fixture
def put(folder: Path) -> Put:
    """Puts templates for the given tasks into the folder; None: the bridge is to find out."""

    def write(**tasks: Any) -> None:
        for name, said in tasks.items():
            (folder / f"{name}.json").write_text(json.dumps(graphs.picture()))
            if said is not None:
                (folder / f"{name}.yaml").write_text(yaml.safe_dump({"tasks": said}))

    return write


@pytest.fixture
def chosen(sim: Simulator, folder: Path) -> Iterator[Callable[..., str]]:
    """The name of the template for a task."""
    bridges = []

    def choose(task: Task, owner: str | None = None, **settings: Any) -> str:
        given = {"comfyui_url": sim.url, "workflows_dir": folder, "default_workflow": "main", **settings}
        bridges.append(Bridge(load_settings(**given)))
        return bridges[-1].template_for(task, Deadline(5), owner).name

    yield choose
    for bridge in bridges:
        bridge.close()


@pytest.mark.parametrize("task", ["txt2img", "img2img", "inpaint", "upscale", "edit"])
def test_the_shipped_templates_serve_the_tasks_that_they_are_named_after(sim: Simulator, task: Task) -> None:
    with Bridge(load_settings(comfyui_url=sim.url)) as bridge:
        assert bridge.template_for(task, Deadline(5)).name == task


def test_the_default_one_comes_before_the_namesake_and_that_before_the_first(
    put: Put, chosen: Any, folder: Path
) -> None:
    put(first=["inpaint"], inpaint=["inpaint"], main=["inpaint"])
    assert chosen("inpaint") == "main"
    put(main=["edit"])
    assert chosen("inpaint") == "inpaint"
    put(inpaint=["edit"])
    assert chosen("inpaint") == "first"


def test_the_setting_comes_before_all(put: Put, chosen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(main=["edit"], edit=["edit"], mine=None)
    monkeypatch.setenv("COMFYBRIDGE_TASKS", "upscale=main, edit = mine")
    assert chosen("edit") == "mine"
    assert chosen("upscale") == "main"


def test_a_new_file_counts_at_once(put: Put, sim: Simulator, folder: Path) -> None:
    put(second=["upscale"])
    with Bridge(load_settings(comfyui_url=sim.url, workflows_dir=folder)) as bridge:
        assert bridge.template_for("upscale", Deadline(5)).name == "second"
        put(first=["upscale"])
        assert bridge.template_for("upscale", Deadline(5)).name == "first"


def test_only_those_that_the_owner_may_use_count(put: Put, chosen: Any, tmp_path: Path) -> None:
    put(main=["edit"], edit=["edit"], other=["edit"])
    (tmp_path / "policies.yaml").write_text("shop: {workflows: [other]}\npress: {workflows: [none]}\n")
    limited = {
        "api_keys": "shop=a,press=b",
        "policy_file": str(tmp_path / "policies.yaml"),
        "tasks": {"edit": "main"},
    }
    assert chosen("edit", **limited) == "main"
    assert chosen("edit", "shop", **limited) == "other"
    with pytest.raises(UnknownWorkflow):
        chosen("edit", "press", **limited)


def test_an_edit_is_done_by_a_template_for_img2img_where_there_is_no_better_one(put: Put, chosen: Any) -> None:
    put(a=["img2img"], b=["txt2img"])
    assert chosen("edit") == "a"
    assert chosen("edit", tasks={"img2img": "b"}) == "b"
    put(b=["edit"])
    assert chosen("edit", tasks={"img2img": "a"}) == "b"


def test_without_one_the_error_says_how_to_declare_it(put: Put, chosen: Any) -> None:
    put(main=["txt2img"])
    with pytest.raises(UnknownWorkflow) as raised:
        chosen("inpaint")
    assert raised.value.message == (
        "No workflow that may be used here repaints a part of a picture. A template is for that if its parameter "
        "file has task: inpaint, or if COMFYBRIDGE_TASKS names it (inpaint=NAME)."
    )


def test_one_that_the_setting_names_and_that_is_missing_is_named(put: Put, chosen: Any, folder: Path) -> None:
    put(main=["edit"])
    with pytest.raises(UnknownWorkflow) as raised:
        chosen("edit", tasks={"edit": "mian"})
    assert raised.value.message.startswith("COMFYBRIDGE_TASKS: There is no workflow 'mian'; did you mean main?")
    (folder / "main.json").write_text("{")
    with pytest.raises(BrokenWorkflow):
        chosen("edit", tasks={"edit": "main"})


def test_an_editor_s_file_counts_once_a_server_answers(put: Put, chosen: Any, folder: Path, sim: Simulator) -> None:
    put(saved=["upscale"])
    (folder / "saved.json").write_text(json.dumps(picture()))
    assert chosen("upscale") == "saved"
    sim.stop()
    with pytest.raises(ComfyUIUnreachable):
        chosen("upscale")
    put(zoom=["upscale"])
    assert chosen("upscale") == "zoom"


@pytest.mark.parametrize("text", ["edit", "edit=", "=mine", "paint=mine", "edit=a,edit=b"])
def test_a_wrong_setting_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("COMFYBRIDGE_TASKS", text)
    with pytest.raises(ValueError, match=r"COMFYBRIDGE_TASKS is .* it must be TASK=TEMPLATE, comma-separated"):
        load_settings()
