"""The files to deploy with, and the examples of settings: held against the code that they are for."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from comfybridge.policy.policies import load_policies
from comfybridge.serving.stopping import LAST_SECONDS
from comfybridge.settings import ENV_FILE, Settings, environment_name, load_settings
from comfybridge.simulator import Simulator
from comfybridge.web import create_app
from tests.served import served

ROOT = Path(__file__).parent.parent
NAMES = {environment_name(field): field for field in Settings.model_fields}
ENV_LINE = re.compile(r"^#?([A-Z_]+)=(.*)$", re.MULTILINE)
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
UNIT = (ROOT / "deploy" / "comfybridge.service").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
FLEET = yaml.safe_load((ROOT / "compose.fleet.yaml").read_text("utf-8"))["services"]
DEPLOYMENT, CLAIM, SERVICE = yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text("utf-8"))


# -- settings


@pytest.fixture
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_nothing_set")
def test_env_example_has_every_setting_with_its_default() -> None:
    text = (ROOT / ".env.example").read_text("utf-8")
    lines = ENV_LINE.findall(text)
    assert sorted(name for name, _ in lines) == sorted(NAMES)
    Path(ENV_FILE).write_text("".join(f"{name}={value}\n" for name, value in lines))
    assert load_settings() == Settings.model_construct()
    # an unchanged copy sets nothing
    Path(ENV_FILE).write_text(text)
    assert load_settings().model_fields_set == set()


def test_the_example_of_policies_can_be_loaded() -> None:
    settings = load_settings(
        policy_file=ROOT / "policies.example.yaml", api_keys="press=a-long-key,admin=another-long-key"
    )
    policies = load_policies(settings)
    shop, press, admin = (policies.of(name) for name in (None, "press", "admin"))
    assert shop is not None
    assert press is not None
    assert admin is not None
    assert (shop.policy.takes_graphs, press.policy.takes_graphs, admin.policy.all_prompts) == (False, True, True)
    templates = {path.stem for path in (ROOT / "workflows").glob("*.json")}
    assert set(shop.policy.workflows or ()) <= templates


# -- the image


def test_the_image_gets_all_that_it_copies() -> None:
    """`.dockerignore` leaves nothing else of the checkout in the way of a build, and nothing out."""
    ignored = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] not in ("", "#")]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert ignored[0] == "*"
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    assert len(copied) == len([line for line in ignored if line.startswith("!")])
    wheel = re.findall(
        r"^\"(.+)\" = \"comfybridge/shipped_files/", (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert wheel
    assert set(wheel) <= set(copied)
    assert not any(fnmatch.fnmatch(".env", line) for line in ignored if line.startswith("!"))


def test_the_image_s_health_check_asks_the_bridge(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    (command,) = re.findall(r"^    CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    python, *arguments = json.loads(command)
    assert python == "python"
    with served(create_app(load_settings(comfyui_url=sim.url))) as url:
        monkeypatch.setenv("COMFYBRIDGE_PORT", url.rpartition(":")[2])
        assert subprocess.run([sys.executable, *arguments], timeout=30, check=False).returncode == 0
    ended = subprocess.run([sys.executable, *arguments], timeout=30, check=False, stderr=subprocess.DEVNULL)
    assert ended.returncode == 1


def test_the_image_runs_the_command_as_somebody_else_than_root() -> None:
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.rstrip().endswith('ENTRYPOINT ["comfybridge"]\nCMD ["serve"]')


# -- what runs it


def environment_of(deployed: str) -> dict[str, Any]:
    container = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]
    if deployed == "kubernetes":
        return {each["name"]: each.get("value", "") for each in container["env"]}
    if deployed == "systemd":
        (line,) = re.findall(r"^Environment=(.+)$", UNIT, re.MULTILINE)
        return dict(each.split("=", 1) for each in shlex.split(line))
    return dict(COMPOSE["services"][deployed]["environment"])


@pytest.mark.parametrize("deployed", ["kubernetes", "systemd", "bridge", "demo"])
def test_what_is_set_are_settings(deployed: str) -> None:
    given = environment_of(deployed)
    ours = {name for name in given if name.startswith("COMFY")}
    assert ours <= NAMES.keys()
    load_settings(**{NAMES[name]: given[name] for name in ours if given[name]})


@pytest.mark.parametrize("deployed", ["kubernetes", "systemd", "bridge"])
def test_nothing_is_killed_that_still_finishes(deployed: str) -> None:
    container = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]
    grace = {
        "kubernetes": DEPLOYMENT["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        - int(container["lifecycle"]["preStop"]["exec"]["command"][-1]),
        "systemd": int(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[0]),
        "bridge": int(COMPOSE["services"]["bridge"]["stop_grace_period"].removesuffix("s")),
    }
    assert grace[deployed] > int(environment_of(deployed)["COMFYBRIDGE_SHUTDOWN_TIMEOUT"]) + LAST_SECONDS


def test_probes_ask_what_is_open_to_all(sim: Simulator) -> None:
    container = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]
    api = create_app(load_settings(comfyui_url=sim.url, api_keys="a-long-key")).test_client()
    probes = {
        name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert probes == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    for path in probes.values():
        assert api.get(path, headers={"Host": "10.0.0.7:8189"}).status_code == 200
    assert container["ports"][0]["containerPort"] == Settings.model_fields["port"].default
    assert SERVICE["spec"]["selector"] == DEPLOYMENT["spec"]["template"]["metadata"]["labels"]


# -- a fleet


@pytest.mark.parametrize("service", ["bridge", "agent-1", "agent-2"])
def test_the_parts_of_the_fleet_find_its_engine(service: str) -> None:
    given = {
        name: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", value) for name, value in FLEET[service]["environment"].items()
    }
    assert given.keys() <= NAMES.keys()
    settings = load_settings(_env_file=None, **{NAMES[name]: value for name, value in given.items() if value})
    assert settings.is_fleet == (service == "bridge")
    (address,) = settings.engine_addresses
    assert (address.url, address.user) == ("nats://engine:4222", service)
    assert settings.shutdown_seconds < int(FLEET[service]["stop_grace_period"].removesuffix("s"))


def test_each_agent_of_the_fleet_has_a_comfyui_of_its_own() -> None:
    urls = [FLEET[name]["environment"]["COMFYUI_URL"] for name in ("agent-1", "agent-2")]
    assert urls == ["http://comfyui-1:8188", "http://comfyui-2:8188"]
    assert {"comfyui-1", "comfyui-2"} <= FLEET.keys()


def test_jobs_are_kept_when_a_pod_or_a_container_is_replaced() -> None:
    (kept,) = re.findall(r"COMFYBRIDGE_STATE_DIR=(\S+)", DOCKERFILE)
    spec = DEPLOYMENT["spec"]["template"]["spec"]
    (name,) = [each["name"] for each in spec["containers"][0]["volumeMounts"] if each["mountPath"] == kept]
    (volume,) = [each for each in spec["volumes"] if each["name"] == name]
    assert volume["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
    assert DEPLOYMENT["spec"]["strategy"] == {"type": "Recreate"}  # two engines cannot share the folder
    assert any(each.endswith(f":{kept}") for each in COMPOSE["services"]["bridge"]["volumes"])
