"""Assets, as the vendor's Python client keeps and uses them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from PIL import Image

from comfybridge.simulator import Simulator
from tests.dialects.comfy.sdk import MakeClient, client, comfy_sdk, make_client
from tests.graphs import node, picture
from tests.served import served
from tests.web.jobs import jobs_of

__all__ = ["client", "make_client"]

pytest.importorskip("blake3", reason="no assets by their hash without it")


def png(color: tuple[int, int, int] = (255, 0, 0), size: tuple[int, int] = (48, 32)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def loading(client: Any, asset: Any) -> Any:
    """A workflow that saves a picture as it is."""
    made = client.workflows.from_json(
        {"1": node("LoadImage", image="nothing.png"), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}
    )
    made.set_input("1", "image", asset)
    return made


def pixels(output: Any) -> tuple[tuple[int, int], Any]:
    made = Image.open(io.BytesIO(output.to_bytes())).convert("RGB")
    return made.size, made.getpixel((5, 5))


def test_an_upload(client: Any, answers: list[str]) -> None:
    data = png()
    asset = client.assets.from_bytes(data, filename="red.png")
    assert asset.id is None
    asset_id = asset.commit()
    assert asset.commit() == asset_id == asset.id
    assert asset.created_new is True
    assert (asset.file_path, asset.job_id, asset.expires_at) == ("red.png", None, None)
    assert asset.hash.startswith("blake3:")
    assert answers.count("POST /api/v2/assets 201") == 1
    again = client.assets.get(asset_id)
    assert (again.id, again.hash, again.file_path) == (asset_id, asset.hash, "red.png")
    link = again.get_download_url()
    assert link.expires_at is None
    assert requests.get(link.url, timeout=10).content == data
    assert asset.as_reference() == {
        "__type": "core/ASSET",
        "info": {"id": asset_id, "hash": asset.hash, "file_path": "red.png"},
    }


def test_known_bytes_are_not_sent_again(client: Any, answers: list[str]) -> None:
    first = client.assets.from_bytes(png((1, 2, 3)), filename="one.png")
    first.commit()
    second = client.assets.from_bytes(png((1, 2, 3)), filename="two.png")
    second.commit()
    assert not second.created_new
    assert second.id != first.id
    assert client.assets.get(second.id).file_path == "two.png"
    assert client.assets.get(first.id).file_path == "one.png"
    assert sum(each.startswith("POST /api/v2/assets 20") for each in answers) == 1
    deleted = first.id
    first.delete()
    assert first.id is None
    with pytest.raises(comfy_sdk.NotFound):
        client.assets.get(deleted)
    assert client.assets.get(second.id).id == second.id
    client.assets.delete(second.id)
    with pytest.raises(comfy_sdk.NotFound):
        client.assets.delete(second.id)


def test_sources_of_bytes(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(png((0, 9, 0)))
    made = [client.assets.from_file(path), client.assets.from_stream(io.BytesIO(png((0, 8, 0))), filename="s.png")]
    for asset, color in zip(made, ((0, 9, 0), (0, 8, 0)), strict=True):
        [output] = client.run(loading(client, asset)).outputs
        assert pixels(output) == ((48, 32), color)


def test_bytes_from_a_url(client: Any) -> None:
    job = client.run(client.workflows.from_json(picture()))
    asset = client.assets.from_url(job.outputs[0].get_download_url().url)
    assert client.run(loading(client, asset)).outputs[0].size_bytes > 0


def test_an_asset_as_an_input(client: Any, sim: Simulator) -> None:
    asset = client.assets.from_bytes(png((7, 7, 200)), filename="a picture ä.png")
    for _ in range(2):
        [output] = client.run(loading(client, asset)).outputs
        assert pixels(output) == ((48, 32), (7, 7, 200))


def test_an_output_as_an_input(client: Any) -> None:
    first = client.run(client.workflows.from_json(picture(width=40, height=24)))
    [output] = first.outputs
    [copied] = client.run(loading(client, {"__type": "core/ASSET", "info": {"id": output.id}})).outputs
    assert pixels(copied) == pixels(output)
    assert pixels(copied)[0] == (40, 24)


def test_an_output_is_an_asset(client: Any) -> None:
    job = client.run(client.workflows.from_json(picture()))
    [output] = job.outputs
    asset = client.assets.get(output.id)
    assert (asset.id, asset.job_id) == (output.id, job.id)
    with pytest.raises(comfy_sdk.ComfyError) as error:
        client.assets.delete(output.id)
    assert (error.value.code, error.value.http_status) == ("asset_in_use", 409)
    assert output.to_bytes()


def test_a_range_behind_the_end(client: Any) -> None:
    [output] = client.run(client.workflows.from_json(picture())).outputs
    with pytest.raises(comfy_sdk.ComfyError) as error:
        output.to_bytes(range=(10**9, 10**9 + 1))
    assert error.value.http_status == 416


def test_bytes_that_are_lost(client: Any, sim: Simulator, answers: list[str]) -> None:
    asset = client.assets.from_bytes(png((3, 4, 5)), filename="lost.png")
    asset.commit()
    for file in (sim.input_directory / "comfybridge").iterdir():
        file.unlink()
    again = client.assets.from_bytes(png((3, 4, 5)), filename="lost.png")
    [output] = client.run(loading(client, again)).outputs
    assert pixels(output) == ((48, 32), (3, 4, 5))
    assert sum(each.startswith("POST /api/v2/assets 20") for each in answers) == 2


def test_a_wrong_hash(client: Any) -> None:
    asset = client.assets.from_bytes(png(), filename="red.png")
    getattr(asset, "_inner", asset)._hash = "blake3:" + "0" * 64  # as if the file had changed meanwhile
    with pytest.raises(comfy_sdk.HashMismatch) as error:
        asset.commit()
    assert error.value.http_status == 409


def test_restarting_the_bridge(make_client: MakeClient, make_jobs_app: Callable[..., Flask]) -> None:
    app = make_jobs_app()
    with served(app) as url:
        client = make_client(url)
        asset = client.assets.from_bytes(png((9, 9, 90)), filename="kept.png")
        asset.commit()
        job = client.submit(
            client.workflows.from_json(picture()), metadata={"run": "1"}, idempotency_key="one"
        ).wait()
        data = job.outputs[0].to_bytes()
    jobs_of(app).close()
    with served(make_jobs_app()) as url:
        client = make_client(url)
        again = client.jobs.get(job.id)
        assert (again.status, again.metadata) == ("succeeded", {"run": "1"})
        assert again.outputs[0].to_bytes() == data
        assert again.get_workflow().graph
        assert [each.id for each in client.list_jobs(metadata={"run": "1"})] == [job.id]
        with pytest.raises(comfy_sdk.IdempotencyKeyReuse):
            client.submit(client.workflows.from_json(picture()), idempotency_key="one")
        known = client.assets.get(asset.id)
        assert known.hash == asset.hash
        assert pixels(client.run(loading(client, known)).outputs[0]) == ((48, 32), (9, 9, 90))
