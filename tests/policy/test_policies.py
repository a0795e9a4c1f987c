"""Policies: the file that holds them, and what they mean for whoever uses the bridge without HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comfybridge import Bridge, GenerationRequest, load_settings
from comfybridge.comfyui.waiting import poll
from comfybridge.errors import Forbidden, RateLimited
from comfybridge.policy.policy import Policy
from comfybridge.settings import SettingsError
from comfybridge.simulator import Simulator
from tests import ROOT, graphs
from tests.waiting import SECONDS

KEYS = "shop=one,press=two"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "policies.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def bridge_for(sim: Simulator, file: Callable[[str], Path]) -> Iterator[Callable[[str], Bridge]]:
    made = []

    def make(text: str) -> Bridge:
        made.append(Bridge(load_settings(comfyui_url=sim.url, api_keys=KEYS, policy_file=file(text))))
        return made[-1]

    yield make
    for bridge in made:
        bridge.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold policies by the names of API keys, and default."),
        ("[shop]", "must hold policies by the names"),
        ("3: {}", "must hold policies by the names"),
        ("shop: yes", "shop must be an object, with workflows, graphs, overrides"),
        ("shop:", "shop must be an object"),
        ("shop: {max_step: 3}", "shop.max_step is not a field of a policy; did you mean max_steps? There are "),
        ("shop: {max_steps: many}", "shop.max_steps is 'many'; it must be an integer."),
        ("shop: {max_steps: 0}", "shop.max_steps is '0'; it must be greater than or equal to 1."),
        ("shop: {max_width: 1.5}", "shop.max_width is '1.5'; it must be an integer."),
        ("shop: {graphs: maybe}", "shop.graphs is 'maybe'; it must be true or false."),
        ("shop: {workflows: txt2img}", "shop.workflows is 'txt2img'; it must be a list of names."),
        ("shop: {workflows: [3]}", "shop.workflows.0 is '3'; it must be a text."),
        ("shop: {rate: 10}", "shop.rate is '10'; it must be a number and a time, such as 10/minute"),
        ("shop: {rate: 0/minute}", "shop.rate is '0/minute'; it must be a number and a time"),
        ("shop: {rate: 3/fortnight}", "the times are second, minute, hour, day."),
        ("shp: {}", "names 'shp', but COMFYBRIDGE_API_KEYS has keys of the names shop, press"),
        ("shop: {}\nshop: {}", "policies.yaml can't be read: it is not YAML: the key shop occurs twice in line 2."),
        ("shop: {", "policies.yaml can't be read: it is not YAML"),
        ("shop: !!python/object:os.system {}", "policies.yaml can't be read"),
    ],
)
def test_a_wrong_file_is_named_in_a_sentence(file: Callable[[str], Path], text: str, said: str) -> None:
    path = file(text)
    with pytest.raises(SettingsError) as raised:
        Bridge(load_settings(api_keys=KEYS, policy_file=path))
    sentence = str(raised.value)
    assert sentence.startswith("COMFYBRIDGE_POLICY_FILE")
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert str(path.parent) not in sentence


def test_the_example_of_the_documentation_works(file: Callable[[str], Path]) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/access.md").read_text("utf-8"), re.DOTALL)
    Bridge(load_settings(api_keys="shop=1,press=2,admin=3", policy_file=file(example))).close()


def test_every_field_of_a_policy_has_a_line_in_its_document() -> None:
    document = (ROOT / "docs" / "access.md").read_text("utf-8")
    assert [name for name in Policy.model_fields if f"`{name}`" not in document] == []


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"COMFYBRIDGE_POLICY_FILE: none\.yaml can't be read"):
        Bridge(load_settings(policy_file=tmp_path / "none.yaml"))


def test_names_need_keys(file: Callable[[str], Path]) -> None:
    with pytest.raises(SettingsError, match="COMFYBRIDGE_API_KEYS has no keys"):
        Bridge(load_settings(policy_file=file("shop: {}")))


@pytest.mark.parametrize("arguments", [["app.py", "--demo"], ["-m", "gunicorn", "app:app"]])
def test_a_wrong_file_stops_the_start(file: Callable[[str], Path], arguments: list[str]) -> None:
    path = file("default: {max_steps: many}")
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "COMFYBRIDGE_POLICY_FILE": str(path), "COMFYBRIDGE_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode != 0
    assert "ComfyBridge can't start: COMFYBRIDGE_POLICY_FILE: in policies.yaml, default.max_steps is" in ended.stderr
    assert "Traceback" not in ended.stderr


def small(**fields: Any) -> GenerationRequest:
    return GenerationRequest(params={"prompt": "x", "width": 64, "height": 64, "steps": 1}, **fields)


def test_a_policy_holds_by_the_owner_of_a_request(bridge_for: Callable[[str], Bridge]) -> None:
    bridge = bridge_for("shop: {graphs: false}\ndefault: {max_steps: 1}")
    with pytest.raises(Forbidden, match=r"The API key shop may not run whole graphs"):
        bridge.generate(GenerationRequest(graph=graphs.picture()), owner="shop")
    assert bridge.generate(GenerationRequest(graph=graphs.picture()), owner="press").images
    over = {"prompt": "x", "steps": 2}
    for owner, who in (("press", "The API key press"), (None, "A caller without an API key"), ("x", "A caller")):
        with pytest.raises(Forbidden, match=f"{who}.* may have at most 1 "):
            bridge.generate(GenerationRequest(params=over), owner=owner)
    assert bridge.generate(small(), owner="shop").images


def test_what_is_refused_gives_its_slot_back(bridge_for: Callable[[str], Bridge]) -> None:
    bridge = bridge_for("default: {rate: 1/day, max_steps: 1, graphs: false}")
    for _ in range(2):
        with pytest.raises(Forbidden):
            bridge.generate(GenerationRequest(graph=graphs.picture()))
    with pytest.raises(Forbidden):
        bridge.generate(GenerationRequest(params={"steps": 2}))
    assert bridge.generate(small()).images
    with pytest.raises(RateLimited):
        bridge.generate(small())
    assert bridge.slots.taken == 0


def test_a_prompt_that_is_queued_again_counts_once(
    bridge_for: Callable[[str], Bridge], sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "QUIET_SECONDS", 0.2)
    bridge = bridge_for("default: {rate: 1/day}")
    sim.hold()
    submission = bridge.submit(bridge.admit(small(retries=1, wait="poll")))
    sim.wait_until_running()
    sim.restart()
    sim.release()
    with bridge.finishing(submission) as generation:
        assert generation.images
    with pytest.raises(RateLimited):
        bridge.generate(small())
