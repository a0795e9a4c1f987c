"""Any files in the folder of templates: the broken ones are listed, and nothing else goes wrong."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from comfybridge.errors import BridgeError
from comfybridge.workflow.filling import fill
from comfybridge.workflow.library import Library
from tests import graphs as good
from tests.properties.made_up import INPUTS, graphs, json_values

ENDINGS = (".json", ".yaml", ".yml", ".params.json")
KEYS = (
    *("description", "parameters", "node", "input", "targets", "type", "default", "min", "max", "choices"),
    *("node_mappings", "node_id", "property", "input_name", "seed", "prompt", "steps"),
)
# values that only YAML has: dates, bytes, sets, numbers of other bases, aliases, merges, tags
SPELLINGS = (
    *("2001-01-01", "2001-13-45", "!!binary aGk=", "!!set {a, b}", "0x" + "f" * 5000, "1:99:99", ".nan", "-.inf"),
    *("&a [*a]", "*a", "!!python/object:os.system {}", "!!timestamp x", "? [a]\n: b", "<<: {a: 1}", "!!int x", "~"),
    *(
        "{<<: [*x, *x]}",
        "'",
        '"\\ud800"',
        "\t",
        "- - - -",
        "!!omap [a]",
        "!!pairs [a: b]",
        "=",
        "!!float x",
        "%YAML 9",
    ),
)
values = (
    json_values(st.sampled_from(KEYS), leaves=10)
    | st.sampled_from([3, "3", "5", "9", "text", "integer", "steps", "seed", 10**400])
    | st.sampled_from(INPUTS)
)
entries = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
declarations = st.fixed_dictionaries(
    {"parameters": st.dictionaries(st.sampled_from(KEYS), entries | values, max_size=3)}
)


def written(value: Any) -> bytes:
    try:
        return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    except yaml.YAMLError:
        return json.dumps(value).encode()


contents = (
    st.binary(max_size=60)
    | st.builds(lambda value: json.dumps(value).encode(), values | graphs | declarations | st.just(good.txt2img("x")))
    | st.builds(written, values | declarations)
    | st.builds(lambda parts: "\n".join(parts).encode(), st.lists(st.sampled_from(SPELLINGS), max_size=4))
    | st.builds(
        lambda key, value: f"parameters: {{p: {{node: 3, input: steps, {key}: {value}}}}}".encode(),
        st.sampled_from(KEYS),
        st.sampled_from(SPELLINGS),
    )
)
names = st.sampled_from(["a", "b", ".hidden", "c.d", "\u202e", "con", " "])
files = st.dictionaries(st.tuples(names, st.sampled_from(ENDINGS)), contents, max_size=5)


def look_at(folder: Path) -> Library:
    """A library of which everything was asked."""
    library = Library(folder)
    for broken in library.broken():
        assert json.dumps(broken)
        assert broken["error"].endswith(".")
        with contextlib.suppress(BridgeError):
            library.get(broken["name"])
    for template in library.templates():
        json.dumps(template.schema(), allow_nan=False)
        with contextlib.suppress(BridgeError):
            json.dumps(fill(template, {}).params)
    with contextlib.suppress(BridgeError):
        library.get("missing")
    return library


@given(files=files)
def test_any_files(files: dict[tuple[str, str], bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "good.json").write_text(json.dumps(good.picture()))
        for (stem, ending), content in files.items():
            (folder / f"{stem}{ending}").write_bytes(content)
        assert look_at(folder).get("good").graph


@given(content=contents, ending=st.sampled_from(ENDINGS[1:]))
def test_any_parameter_file_beside_a_good_graph(content: bytes, ending: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.json").write_text(json.dumps(good.txt2img("x")))
        (folder / f"a{ending}").write_bytes(content)
        look_at(folder)


LAUGHS = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))])
MERGES = "\n".join(["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40))])


@pytest.mark.parametrize(
    "content",
    [
        f"{LAUGHS}\nnode_mappings: {{seed: {{node_id: *a59, property: seed, type: *a59}}}}",
        f"{LAUGHS}\nparameters: *a59",
        f"{LAUGHS}\nparameters: {{p: {{node: 3, input: *a59, type: *a59}}}}",
        MERGES,
        "parameters: {p: {node: 0x" + "f" * 9000 + ", input: x}}",
        "parameters: {p: {node: 3, input: 0x" + "f" * 9000 + "}}",
        "parameters: {p: {node: 3, input: steps, type: 0x" + "f" * 9000 + "}}",
        "parameters: {p: {node: 3, input: steps, min: 0x" + "f" * 9000 + "}}",
        "parameters: {p: {node: 3, input: steps, choices: [0x" + "f" * 9000 + "]}}",
        "parameters: {p: {node: 3, input: steps, choices: [.nan]}}",
        "0x" + "f" * 9000 + ": 1",
        "[" * 600,
    ],
)
def test_a_parameter_file_that_is_a_bomb_is_a_broken_template(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(good.txt2img("x")))
    (tmp_path / "a.yaml").write_text(content)
    began = time.process_time()
    (broken,) = look_at(tmp_path).broken()
    assert broken["name"] == "a"
    assert len(broken["error"]) < 2000
    assert time.process_time() - began < 30  # CPU seconds, for work that takes milliseconds
