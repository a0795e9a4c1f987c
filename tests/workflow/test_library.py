"""A folder of templates, read again whenever one of its files changes."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from comfybridge.errors import BrokenWorkflow, InvalidRequest, UnknownWorkflow
from comfybridge.workflow.discovery import examine
from comfybridge.workflow.filling import fill
from comfybridge.workflow.library import Library
from comfybridge.workflow.parameters import Target
from comfybridge.workflow.reading import read_json
from tests.workflow.drawn import default, encode

SHIPPED = Path(__file__).resolve().parents[2] / "workflows"


class Folder:
    """A folder of templates whose every write has a time of its own, in the past."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.library = Library(path)
        self._time = 1_700_000_000

    def write(self, name: str, content: object) -> None:
        file = self.path / name
        data = content if isinstance(content, (bytes, str)) else json.dumps(content)
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        self._time += 1
        os.utime(file, (self._time, self._time))

    def error(self, name: str = "a") -> str:
        errors = {each["name"]: each["error"] for each in self.library.broken()}
        assert str(self.path) not in errors[name]
        return errors[name]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_graph_alone_is_a_template_with_what_is_found_in_it(folder: Folder) -> None:
    folder.write("a.json", default())
    template = folder.library.get("a")
    assert template.graph == default()
    assert "negative_prompt" in template.parameters
    assert folder.library.names() == ["a"]


def test_a_yaml_file_declares_the_parameters(folder: Folder) -> None:
    folder.write("a.json", default(n10=encode("more")))
    folder.write(
        "a.yaml",
        """
description: A cat.
parameters:
  prompt: {targets: [{node: 6, input: text}, {node: "10", input: text}], description: what}
  steps: {node: 3, input: steps, type: integer, default: 12, min: 2, max: 30}
  strength: {node: 3, input: cfg}
  method: {node: 3, input: sampler_name, choices: [euler, lcm]}
""",
    )
    template = folder.library.get("a")
    assert template.description == "A cat."
    assert list(template.parameters) == ["prompt", "steps", "strength", "method"]
    assert [each.type for each in template.parameters.values()] == ["string", "integer", "number", "string"]
    filled = fill(template, {"prompt": "x", "strength": 7.5})
    assert filled.graph["6"]["inputs"]["text"] == filled.graph["10"]["inputs"]["text"] == "x"
    assert filled.params == {"prompt": "x", "steps": 12, "strength": 7.5, "method": "euler"}
    with pytest.raises(InvalidRequest, match="from 2 to 30"):
        fill(template, {"steps": 31})


def test_a_yaml_file_that_only_describes_leaves_the_rest_to_discovery(folder: Folder) -> None:
    folder.write("a.json", default())
    folder.write("a.yml", "description: A cat.\n")
    assert folder.library.get("a").description == "A cat."
    assert "prompt" in folder.library.get("a").parameters


def test_node_mappings_load_as_they_are(folder: Folder) -> None:
    folder.write("a.json", default())
    folder.write(
        "a.yaml",
        """
# generic names to nodes
node_mappings:
  prompt: {node_id: "6", property: text}
  seed: {node_id: 3, property: inputs.seed}
  imageCount: {node_id: "5", property: batch_size}
""",
    )
    filled = fill(folder.library.get("a"), {"prompt": "x", "seed": 4, "imageCount": 3})
    assert filled.graph["6"]["inputs"]["text"] == "x"
    assert filled.graph["5"]["inputs"]["batch_size"] == 3
    assert filled.seed == 4


def test_a_params_json_file_loads_as_it_is(folder: Folder) -> None:
    folder.write("a.json", default())
    folder.write(
        "a.params.json",
        {
            "prompt": {"node_id": 6, "input_name": "text", "type": "str", "default": None, "label": "Prompt"},
            "seed": {"node_id": "3", "input_name": "seed", "type": "int", "min": -1, "max": 99, "default": -1},
            "cfg": {"node_id": 3, "input_name": "cfg", "type": "float", "min": 1, "max": 9, "default": 4},
        },
    )
    assert folder.library.names() == ["a"]
    filled = fill(folder.library.get("a"), {})
    assert 0 <= filled.params["seed"] <= 99
    assert filled.graph["3"]["inputs"]["cfg"] == 4
    with pytest.raises(InvalidRequest, match="from 1 to 9"):
        fill(folder.library.get("a"), {"cfg": 10})


BROKEN_GRAPHS: dict[str, tuple[Any, str]] = {
    "half-written": ('{"3": {"class_ty', "a.json can't be read: it is not JSON"),
    "empty": ("", "it is not JSON"),
    "NaN": ('{"3": {"class_type": "A", "inputs": {"x": NaN}}}', "it holds NaN"),
    "too large a number": (
        '{"3": {"class_type": "A", "inputs": {"x": 1e999}}}',
        "a.json: Node 3 (A): input x is inf",
    ),
    "a key twice": ('{"3": {"class_type": "A"}, "3": {"class_type": "B"}}', "the key 3 occurs twice"),
    "not UTF-8": (b'{"\xff": 1}', "it is not UTF-8"),
    "nested too deeply": ("[" * 200_000, "it is nested too deeply"),
    "a dangling link": (default(n4={"class_type": "A", "inputs": {"x": ["77", 0]}}), "links to node 77"),
}


@pytest.mark.parametrize(("content", "sentence"), BROKEN_GRAPHS.values(), ids=BROKEN_GRAPHS.keys())
def test_a_broken_graph_is_named_and_breaks_nothing_else(folder: Folder, content: Any, sentence: str) -> None:
    folder.write("a.json", content)
    folder.write("good.json", default())
    assert sentence in folder.error()
    assert folder.library.names() == ["good"]
    with pytest.raises(BrokenWorkflow, match="The workflow a is broken"):
        folder.library.get("a")


BROKEN_PARAMETERS: dict[str, tuple[str, str]] = {
    "no YAML": ("parameters: [", "a.yaml can't be read: it is not YAML"),
    "a key twice": ("parameters: {}\nparameters: {}", "the key parameters occurs twice"),
    "a list": ("- a", "a.yaml is a list"),
    "python objects": ("a: !!python/object/apply:os.getcwd []", "it is not YAML"),
    "a date that is none": ("description: 2020-13-45", "it has a value that YAML does not allow"),
    "a control character": ("description: \x07", "a character that YAML does not allow"),
    "an unknown key": ("paramters: {}", "'paramters', which is not known here; use parameters, "),
    "an unknown key of a parameter": (
        "parameters: {p: {node: 6, inptu: text}}",
        "'inptu', which is not known here; use input, ",
    ),
    "an unknown node": ("parameters: {p: {node: 66, input: text}}", "parameter p names node 66, which the graph"),
    "an unknown input": ("parameters: {p: {node: 6, input: txt}}", "names input txt of node 6 (CLIPTextEncode)"),
    "an unknown node in a mapping": ("node_mappings: {p: {node_id: 66, property: text}}", "names node 66"),
    "an unknown type": ("parameters: {p: {node: 3, input: seed, type: integr}}", "must be one of integer, "),
    "no node": ("parameters: {p: {input: text}}", "parameter p names no node"),
    "no input": ("parameters: {p: {node: 6}}", "parameter p names no input of node 6"),
    "no object": ("parameters: {p: 6.text}", "parameter p is the text '6.text'"),
    "no parameters": ("parameters: [p]", "parameters is a list"),
    "a name that is no text": ("parameters: {on: {node: 6, input: text}}", "a parameter's name is true"),
    "no targets": ("parameters: {p: {targets: []}}", "targets must be a list of objects"),
    "targets and a node": ("parameters: {p: {targets: [{node: 6, input: text}], node: 6}}", "keep one of them"),
    "a default out of range": ("parameters: {steps: {node: 3, input: steps, default: 0}}", "its default: steps is 0"),
    "a default of another type": ("parameters: {steps: {node: 3, input: steps, default: '9'}}", "the text '9'"),
    "a default that is a list": ("parameters: {p: {node: 6, input: text, default: [a]}}", "default is a list"),
    "a range the wrong way round": (
        "parameters: {p: {node: 3, input: steps, min: 9, max: 1}}",
        "min 9 is more than max 1",
    ),
    "a limit that is no number": ("parameters: {p: {node: 3, input: steps, min: .nan}}", "min is nan"),
    "a limit of a text": ("parameters: {p: {node: 6, input: text, max: 9}}", "max, which is for numbers"),
    "choices that are none": ("parameters: {p: {node: 6, input: text, choices: []}}", "choices must be a list"),
}


@pytest.mark.parametrize(("content", "sentence"), BROKEN_PARAMETERS.values(), ids=BROKEN_PARAMETERS.keys())
def test_a_broken_parameter_file_is_named(folder: Folder, content: str, sentence: str) -> None:
    folder.write("a.json", default())
    folder.write("a.yaml", content)
    assert sentence in folder.error()
    assert "a.yaml" in folder.error()


def test_two_parameter_files_or_one_without_a_graph_are_broken(folder: Folder) -> None:
    folder.write("a.json", default())
    folder.write("a.yaml", "")
    folder.write("a.params.json", {})
    folder.write("b.yaml", "")
    assert folder.error() == "a.params.json and a.yaml both declare its parameters; keep one of them."
    assert folder.error("b") == "b.yaml has no b.json beside it."


def test_too_large_a_file_is_broken(folder: Folder) -> None:
    folder.write("a.json", b" " * (8 * 1024 * 1024 + 1))
    assert "a.json can't be read: it is larger than" in folder.error()


def test_a_byte_order_mark_does_no_harm(folder: Folder) -> None:
    folder.write("a.json", b"\xef\xbb\xbf" + json.dumps(default()).encode())
    assert folder.library.names() == ["a"]


def test_adding_changing_and_removing_takes_effect_on_the_next_look(folder: Folder) -> None:
    assert folder.library.names() == []
    folder.write("a.json", default())
    first = folder.library.get("a")
    assert folder.library.get("a") is first
    folder.write("a.json", default(n6=encode("a dog")))
    assert folder.library.get("a").parameters["prompt"].default == "a dog"
    folder.write("a.yaml", "parameters: {}")
    assert folder.library.get("a").parameters == {}
    (folder.path / "a.yaml").unlink()
    assert "prompt" in folder.library.get("a").parameters
    (folder.path / "a.json").unlink()
    assert folder.library.names() == []


@pytest.mark.parametrize("ending", [".yaml", ".yml", ".params.json"])
def test_a_parameter_file_that_comes_or_goes_is_noticed_when_its_template_is_asked_for(
    folder: Folder, ending: str
) -> None:
    seed = {"node_id": 3, "input_name": "seed"} if ending == ".params.json" else {"node": 3, "input": "seed"}
    declared = {"seed": seed} if ending == ".params.json" else {"parameters": {"seed": seed}}
    folder.write("a.json", default())
    assert "steps" in folder.library.get("a").parameters
    folder.write(f"a{ending}", declared)
    assert list(folder.library.get("a").parameters) == ["seed"]
    (folder.path / f"a{ending}").unlink()
    assert "steps" in folder.library.get("a").parameters
    (folder.path / "a.json").unlink()
    with pytest.raises(UnknownWorkflow):
        folder.library.get("a")


def test_a_half_written_template_loads_once_it_is_whole(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    folder.write("a.json", '{"3":')
    assert folder.library.names() == []
    assert folder.library.broken()[0]["name"] == "a"
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["The workflow a is broken"]
    folder.write("a.json", default())
    assert folder.library.names() == ["a"]
    assert folder.library.broken() == []


def test_a_fault_is_logged_once(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    (folder.path / "a.json").write_text("{")
    for _ in range(3):
        folder.library.names()
    assert len(caplog.records) == 1


def test_a_file_written_a_moment_ago_is_read_again_under_the_same_stamp(folder: Folder) -> None:
    file = folder.path / "a.json"
    file.write_text(json.dumps(default()))
    folder.library.get("a")
    stamp = file.stat()
    file.write_text(json.dumps(default(n6=encode("a dog"))))
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert file.stat().st_size == stamp.st_size
    assert folder.library.get("a").parameters["prompt"].default == "a dog"


def test_only_what_changed_is_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counting(path: Path) -> Any:
        read.append(path.name)
        return read_json(path)

    monkeypatch.setattr("comfybridge.workflow.library.read_json", counting)
    folder.write("a.json", default())
    folder.write("b.json", default())
    folder.library.names()
    folder.write("b.json", default(n6=encode("x")))
    folder.library.names()
    folder.library.names()
    assert sorted(read) == ["a.json", "b.json", "b.json"]


@pytest.mark.parametrize(
    "name", ["../out", "..", ".", "", "sub/in", "sub\\in", ".hidden", "/etc/passwd", "a\0", "a.json"]
)
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    for file in (tmp_path / "out.json", inside / "sub" / "in.json", inside / ".hidden.json", inside / "a.json"):
        file.write_text(json.dumps(default()))
    library = Library(inside)
    assert library.names() == ["a"]
    with pytest.raises(UnknownWorkflow):
        library.get(name)


def test_an_unknown_name_is_answered_with_the_nearest_and_all(folder: Folder) -> None:
    for name in ("flux", "img2img", "txt2img"):
        folder.write(f"{name}.json", default())
    with pytest.raises(UnknownWorkflow) as caught:
        folder.library.get("txt2im")
    assert caught.value.message == (
        "There is no workflow 'txt2im'; did you mean txt2img? Available are txt2img, flux, img2img."
    )


def test_a_missing_folder_is_an_empty_library_that_names_the_setting(tmp_path: Path) -> None:
    library = Library(tmp_path / "nowhere")
    assert library.names() == []
    assert library.broken() == []
    with pytest.raises(UnknownWorkflow) as caught:
        library.get("a")
    assert "COMFYBRIDGE_WORKFLOWS_DIR" in caught.value.message
    assert str(tmp_path) not in caught.value.message


def test_links_to_nowhere_and_folders_are_no_templates(folder: Folder) -> None:
    (folder.path / "a.json").mkdir()
    (folder.path / "b.json").symlink_to(folder.path / "nowhere.json")
    assert folder.library.names() == []
    assert folder.library.broken() == []


def test_many_threads_may_look_at_once(folder: Folder) -> None:
    folder.write("a.json", default())
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(folder.library.get("a").name)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["a"] * 20


@pytest.mark.parametrize("name", ["txt2img", "img2img", "sdxl", "flux", "edit", "inpaint"])
def test_a_shipped_template_declares_what_discovery_would_find(name: str) -> None:
    library = Library(SHIPPED)
    assert library.broken() == []
    template = library.get(name)
    assert template.description
    assert all(each.description and each.type for each in template.parameters.values())
    found = {each: parameter.targets for each, parameter in examine(template.graph).parameters.items()}
    if name == "inpaint":  # what the new part is laid over comes as often as the new part
        found["batch_size"] += (Target("15", "amount"),)
    optional = {"clip_skip"}  # of a node that is only there if asked for
    declared = {each: parameter.targets for each, parameter in template.parameters.items() if each not in optional}
    assert found == declared
