"""`engine-config`: what a nats-server that has such a configuration lets an agent do, and what not."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client

from comfybridge.cli.main import main
from comfybridge.engine.engine import Engine
from comfybridge.settings import load_settings
from comfybridge.state import StateFolder
from tests.jobs.fleets import NatsServer
from tests.waiting import SECONDS

STREAMS = ("COMFYBRIDGE_KEPT", "COMFYBRIDGE_LIVE", "COMFYBRIDGE_RESULTS", "COMFYBRIDGE_FILES")
ID = "6f1d6d56-9f0b-4f5e-9d3e-0d9a4a1f7a10"
CONSUMER = {
    "config": {"name": "c", "ack_policy": "none", "deliver_policy": "all", "deliver_subject": "_INBOX.agent-1.c"}
}

FORBIDDEN = [
    # submitting, changing or ending jobs in a bridge's place
    f"comfybridge.kept.job.{ID}",
    f"comfybridge.live.job.{ID}",
    f"comfybridge.tries.{ID}",
    f"comfybridge.file.in.{ID}.request.0",
    f"comfybridge.file.in.{ID}.in-0.0",
    # reading results of others, and their files
    f"$JS.API.DIRECT.GET.COMFYBRIDGE_RESULTS.comfybridge.kept.result.plain.{ID}",
    f"$JS.API.DIRECT.GET.COMFYBRIDGE_FILES.comfybridge.file.out.{ID}.out-1-0.0",
    "$JS.API.STREAM.MSG.GET.COMFYBRIDGE_RESULTS",
    "$JS.API.CONSUMER.CREATE.COMFYBRIDGE_RESULTS.c",
    "$JS.API.CONSUMER.CREATE.COMFYBRIDGE_FILES.c",
    "$JS.API.CONSUMER.DURABLE.CREATE.COMFYBRIDGE_KEPT.c",
    # speaking for other agents, or to them
    "comfybridge.agent.agent-2",
    "comfybridge.ask.agent-2.release",
    "_INBOX.agent-2.x",
    # the engine itself
    *(f"$JS.API.STREAM.{what}.{stream}" for what in ("CREATE", "UPDATE", "DELETE", "PURGE") for stream in STREAMS),
    "$JS.API.STREAM.MSG.DELETE.COMFYBRIDGE_KEPT",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.NAMES",
    "$JS.API.INFO",
    "$SYS.REQ.SERVER.PING",
]
UNHEARD = [">", "comfybridge.>", "comfybridge.kept.job.*", "comfybridge.ask.agent-2.>", "_INBOX.>", "_INBOX.bridge.>"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """An engine that a bridge has prepared."""
    folder = tmp_path_factory.mktemp("engine")
    server = NatsServer(folder)
    engine = Engine(load_settings(_env_file=None, engine=server.addresses["bridge"]), StateFolder(folder / "state"))
    engine.publish(f"comfybridge.kept.job.{ID}", b"{}", expected=0, seconds=30)
    engine.put_blob(ID, "in-0", [b"an input file"], ttl=None)
    engine.close()
    yield server
    server.close()


def refused_to_agent(server: NatsServer, act: Callable[[Client], Awaitable[Any]]) -> str:
    """What is refused of an act with the rights of agent-1."""

    async def connected() -> str:
        refused: asyncio.Queue[str] = asyncio.Queue()

        async def hear(error: Exception) -> None:
            refused.put_nowait(str(error))

        client = await nats.connect(
            server.addresses["agent-1"], inbox_prefix=b"_INBOX.agent-1", error_cb=hear, allow_reconnect=False
        )
        try:
            await act(client)
            return await asyncio.wait_for(refused.get(), SECONDS)
        finally:
            await client.close()

    return asyncio.run(connected())


@pytest.mark.parametrize("subject", FORBIDDEN)
def test_an_agent_may_not_publish(server: NatsServer, subject: str) -> None:
    async def act(client: Client) -> None:
        await client.publish(subject, json.dumps(CONSUMER).encode(), reply="_INBOX.agent-1.x")

    assert "permissions violation for publish" in refused_to_agent(server, act).lower()


@pytest.mark.parametrize("subject", UNHEARD)
def test_an_agent_may_not_listen(server: NatsServer, subject: str) -> None:
    async def act(client: Client) -> None:
        await client.subscribe(subject)

    assert "permissions violation for subscription" in refused_to_agent(server, act).lower()


def test_an_agent_may_see_jobs_claim_them_and_hand_in_results(server: NatsServer) -> None:
    settings = load_settings(_env_file=None, engine=server.addresses["agent-1"])
    engine = Engine(settings, StateFolder(Path("unused")), makes_streams=False)
    job_id = str(uuid.uuid4())
    stored = engine.get("COMFYBRIDGE_KEPT", f"comfybridge.kept.job.{ID}", seconds=30)
    assert stored is not None
    engine.publish(f"comfybridge.kept.claim.{job_id}", b"{}", expected=0)
    engine.publish(f"comfybridge.kept.result.plain.{job_id}", b"{}", expected=0)
    engine.publish(f"comfybridge.live.result.plain.{job_id}", b"{}", expected=0)
    assert engine.put_blob(job_id, "out-1-0", [b"a picture"], ttl=60) == 9
    assert b"".join(engine.read_blob(ID, "in-0")) == b"an input file"
    engine.close()


def test_a_password_is_wanted(server: NatsServer) -> None:
    async def connect(address: str) -> None:
        await nats.connect(address, allow_reconnect=False, connect_timeout=5, max_reconnect_attempts=0)

    for user in ("bridge:wrong@", "", "agent-1@"):
        with pytest.raises(nats.errors.Error):
            asyncio.run(connect(f"nats://{user}127.0.0.1:{server.port}"))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["engine-config", *arguments]) == 0
    return capsys.readouterr().out


def test_each_agent_has_a_user_with_a_password_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    first = printed(capsys, "--agents", "3")
    second = printed(capsys, "--agents", "3")
    passwords = re.findall(r'password: "([0-9a-f]+)"', first + second)
    assert len(passwords) == len(set(passwords)) == 8
    assert re.findall(r'user: "?([\w-]+)', first) == ["bridge", "agent-1", "agent-2", "agent-3"]


def test_agents_may_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--agents", "cellar,agent-attic", "--address", "engine.example", "--port", "4333")
    assert re.findall(r'user: "?([\w-]+)', text) == ["bridge", "agent-cellar", "agent-attic"]
    assert re.search(r"COMFYBRIDGE_ENGINE=nats://agent-cellar:[0-9a-f]+@engine\.example:4333 ", text)


def test_tls_and_websockets_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    plain = printed(capsys, "--websocket", "8443")
    assert "no_tls: true" in plain
    secure = printed(capsys, "--tls-cert", "cert.pem", "--tls-key", "key.pem", "--websocket", "8443")
    assert secure.count('cert_file: "cert.pem"') == 2
    assert "COMFYBRIDGE_ENGINE=tls://bridge:" in secure


@pytest.mark.parametrize(
    ("address", "listens"),
    [
        ([], "127.0.0.1"),
        (["--address", "localhost"], "127.0.0.1"),
        (["--address", "::1"], "[::1]"),
        (["--address", "engine.example"], "0.0.0.0"),
        (["--address", "10.0.0.7"], "0.0.0.0"),
        (["--address", "2001:db8::7"], "[::]"),
    ],
)
def test_only_this_machine_is_let_in_where_its_address_is_its_own(
    capsys: pytest.CaptureFixture[str], address: list[str], listens: str
) -> None:
    text = printed(capsys, *address, "--websocket", "8443")
    assert re.findall(r'listen: "(.*)"', text) == [f"{listens}:4222", f"{listens}:8443"]


@pytest.mark.parametrize("agents", ["0", "1001", "-1", "", "a,a", "a b", "a.b", "*"])
def test_agents_without_a_usable_name_are_refused(capsys: pytest.CaptureFixture[str], agents: str) -> None:
    with pytest.raises(SystemExit):
        main(["engine-config", "--agents", agents])
    assert "--agents" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--address", value) for value in ("", "a b", "a..b", "u@h", "h:1", "h,i", "h/p", "h\ninclude x", "[h]")),
        *(("--port", value) for value in ("0", "65536", "-1", "x")),
        *(("--websocket", value) for value in ("0", "70000", "4222")),
    ],
)
def test_an_engine_that_nobody_could_reach_is_refused(
    capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit):
        main(["engine-config", f"{option}={value}"])
    assert option in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_addresses_of_ip_6_stand_in_brackets(capsys: pytest.CaptureFixture[str], host: str) -> None:
    assert "@[::1]:4222 " in printed(capsys, "--address", host)
