"""`comfybridge engine-config`: the configuration of a nats-server for a fleet, with a user for each machine."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import re
import secrets
from collections.abc import Callable, Sequence

from comfybridge.cli.exit_codes import DONE
from comfybridge.cli.program import command, program
from comfybridge.cli.version import add_version

BRIDGE = "bridge"
AGENT = "agent-"  # an agent's user is its id, by this beginning
PASSWORD_BYTES = 24
MOST_AGENTS = 1000
KEPT, LIVE, RESULTS, FILES = (f"COMFYBRIDGE_{name}" for name in ("KEPT", "LIVE", "RESULTS", "FILES"))
_NAME = re.compile(rf"{AGENT}[A-Za-z0-9_][A-Za-z0-9_-]{{0,59}}")
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


def engine_config(arguments: Sequence[str]) -> int:
    """Print a configuration; returns the exit code."""
    print(configuration_for(arguments))
    return DONE


def configuration_for(arguments: Sequence[str]) -> str:
    """The text of a configuration, with passwords drawn for it."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        agents = _names(options.agents)
    except ValueError as error:
        parser.error(str(error))
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key belong together")
    if options.websocket == options.port:
        parser.error("--websocket takes another port than --port")
    passwords = {name: secrets.token_hex(PASSWORD_BYTES) for name in (BRIDGE, *agents)}
    scheme = "tls" if options.tls_cert else "nats"

    def address(user: str) -> str:
        return f"{scheme}://{user}:{passwords[user]}@{options.address}:{options.port}"

    parts = [
        _what_to_start(agents, address),
        _listening(options),
        _jetstream(options.store_dir),
        _users(agents, passwords),
    ]
    return "\n".join(parts)


def rights_of(agent: str) -> dict[str, dict[str, list[str]]]:
    """What an agent may do, in nats-server's words: see jobs, claim them, and hand in results and files.

    It can't store, change or delete jobs, nor the files of requests, nor read the files of results; it can't speak
    for other agents, nor hear what is said to them.

    Args:
        agent: the name of its user, which is its id.
    """
    publish = [
        *(f"comfybridge.{kind}.claim.*" for kind in ("kept", "live")),
        "comfybridge.kept.result.plain.*",
        "comfybridge.kept.result.hook.*",
        "comfybridge.live.result.plain.*",
        "comfybridge.file.out.*.*.*",
        f"comfybridge.agent.{agent}",
        "comfybridge.progress.*",
        "comfybridge.event.*",
        f"_INBOX.{BRIDGE}.>",  # answers to bridges
        *(f"$JS.API.STREAM.INFO.{stream}" for stream in (KEPT, LIVE, RESULTS, FILES)),
        *(f"$JS.API.CONSUMER.{what}.{stream}.>" for what in ("CREATE", "INFO", "DELETE") for stream in (KEPT, LIVE)),
        *(f"$JS.FC.{stream}.>" for stream in (KEPT, LIVE)),
        f"$JS.API.DIRECT.GET.{KEPT}.comfybridge.kept.>",
        f"$JS.API.DIRECT.GET.{LIVE}.comfybridge.live.>",
        f"$JS.API.DIRECT.GET.{FILES}.comfybridge.file.in.>",
    ]
    subscribe = [
        f"_INBOX.{agent}.>",
        f"comfybridge.ask.{agent}.>",
        "comfybridge.agent.*",  # which others there are
        "comfybridge.watching.*",
    ]
    return {"publish": {"allow": publish}, "subscribe": {"allow": subscribe}}


def _what_to_start(agents: Sequence[str], address: Callable[[str], str]) -> str:
    lines = [
        "The engine of a ComfyBridge fleet: save this as engine.conf, keep it to yourself (it holds all passwords),",
        "and start",
        "  nats-server -c engine.conf",
        "A bridge, without COMFYUI_URL:",
        f"  COMFYBRIDGE_ENGINE={address(BRIDGE)} {command()}",
        "Beside each ComfyUI, an agent; each has a user of its own, whose name is its id:",
        *(f"  COMFYBRIDGE_ENGINE={address(name)} {command()} agent --name {name}" for name in agents),
    ]
    return "\n".join(f"# {line}" for line in lines)


def _listening(options: argparse.Namespace) -> str:
    host = _listened_on(options.address)
    lines = ["", f'listen: "{host}:{options.port}"', "max_payload: 8MB"]
    tls = []
    if options.tls_cert:
        tls = [
            "tls {",
            f"  cert_file: {json.dumps(options.tls_cert)}",
            f"  key_file: {json.dumps(options.tls_key)}",
            "}",
        ]
    lines += tls
    if options.websocket is not None:
        inner = [f"  {line}" for line in tls] or ["  no_tls: true # what is in front of it has the certificate"]
        lines += ["websocket {", f'  listen: "{host}:{options.websocket}"', *inner, "}"]
    return "\n".join(lines)


def _jetstream(store_dir: str) -> str:
    lines = [
        "",
        "jetstream {",
        f"  store_dir: {json.dumps(store_dir)}",
        "  sync_interval: always # what is accepted is on disk; the default is every two minutes",
        "}",
    ]
    return "\n".join(lines)


def _users(agents: Sequence[str], passwords: dict[str, str]) -> str:
    lines = [
        "",
        "authorization {",
        "  users: [",
        f"    {{user: {BRIDGE}, password: {json.dumps(passwords[BRIDGE])}}}",
    ]
    for name in agents:
        lines += [f"    {{user: {json.dumps(name)}, password: {json.dumps(passwords[name])}, permissions: {{"]
        for verb, rights in rights_of(name).items():
            lines += [
                f"      {verb}: {{allow: [",
                *(f"        {json.dumps(each)}" for each in rights["allow"]),
                "      ]}",
            ]
        lines += ["    }}"]
    return "\n".join([*lines, "  ]", "}"])


def _names(text: str) -> list[str]:
    """The names of agents: given, or as many as a number says.

    Raises:
        ValueError
    """
    if text.isdecimal():
        count = int(text)
        if not 1 <= count <= MOST_AGENTS:
            raise ValueError(f"--agents must be from 1 to {MOST_AGENTS}, or names")
        return [f"{AGENT}{number}" for number in range(1, count + 1)]
    given = [each.strip() for each in text.split(",") if each.strip()]
    names = [each if each.startswith(AGENT) else f"{AGENT}{each}" for each in given]
    if not names or not all(map(_NAME.fullmatch, names)) or len(set(names)) < len(names):
        raise ValueError(
            "--agents takes a number, or names with commas between them, of letters, digits, - and _, none twice"
        )
    return names


def _host(text: str) -> str:
    """A host as URLs have it."""
    with contextlib.suppress(ValueError):
        return f"[{ipaddress.IPv6Address(text.removeprefix('[').removesuffix(']'))}]"
    if not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError("it takes the name of a host, or an IP address")
    return text


def _listened_on(host: str) -> str:
    """Where a server listens that is reached by this host: nobody else is let in where only this machine is to be."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host.strip("[]"))
        return host if address.is_loopback else "[::]" if address.version == 6 else "0.0.0.0"
    return "127.0.0.1" if host.rstrip(".").lower() == "localhost" else "0.0.0.0"


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("it takes a number from 1 to 65535")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{program()} engine-config",
        description="Print a configuration for nats-server, the engine of a fleet: a user for bridges, and one for "
        "each agent with the rights to take work and to hand in results. New passwords are drawn each time.",
    )
    add_version(parser)
    parser.add_argument(
        "--agents", default="2", metavar="NUMBER|NAMES", help="how many agents there are, or their names (2)"
    )
    parser.add_argument(
        "--address",
        type=_host,
        default="127.0.0.1",
        metavar="HOST",
        help="the host by which bridges and agents reach the engine; with 127.0.0.1, the default, only those on the "
        "same machine can",
    )
    parser.add_argument("--port", type=_port, default=4222, metavar="PORT", help="the port that it listens on (4222)")
    parser.add_argument("--store-dir", default="jetstream", help="the folder for its data (jetstream)")
    parser.add_argument("--tls-cert", metavar="FILE", help="the file of its certificate, for connections by TLS")
    parser.add_argument("--tls-key", metavar="FILE", help="the file of that certificate's key")
    parser.add_argument(
        "--websocket", type=_port, metavar="PORT", help="another port, for websockets, as behind an HTTP proxy"
    )
    return parser
