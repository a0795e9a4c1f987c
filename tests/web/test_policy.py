"""What a caller may ask for: policies by API key, in a file, over HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from comfybridge.simulator import Simulator
from tests import ROOT, graphs
from tests.graphs import node
from tests.web.answers import failure, success
from tests.web.policies import KEYS, PRESS, SHOP, SMALL, MakeApi, png, refused

# -- workflows ---------------------------------------------------------------------------------------------------


def test_a_key_gets_the_workflows_that_are_listed(api_for: MakeApi, sim: Simulator) -> None:
    api = api_for(workflows=["txt2img", "img2img"])
    success(api.post("/generate", json=SMALL, headers=SHOP))  # the default
    success(api.post("/generate", json={**SMALL, "workflow": "txt2img"}, headers=SHOP))
    for name in ("sdxl", "", "nowhere", "../txt2img"):
        for field in ("workflow", "workflow_template"):
            said = refused(api, sim, {"prompt": "x", field: name})
            assert said.startswith(f"The API key shop may not use the workflow '{name}'")
            assert "txt2img, img2img" in said
            assert "flux" not in said
    assert success(api.post("/generate", json={**SMALL, "workflow": "sdxl"}, headers=PRESS))


def test_the_default_workflow_must_be_listed_too(api_for: MakeApi, sim: Simulator) -> None:
    assert "may not use the workflow 'txt2img'" in refused(api_for(workflows=["sdxl"]), sim, SMALL)


def test_only_those_are_listed_and_described(api_for: MakeApi) -> None:
    api = api_for(workflows=["txt2img", "sdxl"])
    listed = [each["name"] for each in api.get("/workflows", headers=SHOP).get_json()["workflows"]]
    assert listed == ["sdxl", "txt2img"]
    all_listed = [each["name"] for each in api.get("/workflows", headers=PRESS).get_json()["workflows"]]
    assert all_listed == sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
    assert api.get("/workflows/sdxl", headers=SHOP).status_code == 200
    for name in ("flux", "nowhere"):
        failure(api.get(f"/workflows/{name}", headers=SHOP), 403, "forbidden")


# -- whole graphs and overrides ----------------------------------------------------------------------------------


def graph_in(form: str) -> dict[str, Any]:
    """A request with a whole graph in one of the forms that there are."""
    graph = graphs.picture()
    text = json.dumps(graph)
    forms: dict[str, dict[str, Any]] = {
        "prompt": {"json": {"prompt": graph}},
        "workflow": {"json": {"workflow": graph}},
        "request part": {"data": {"request": json.dumps({"workflow": graph})}},
        "text of a form": {"data": {"workflow": text}},
        "prompt of a form": {"data": {"prompt": text}},
        "file": {"data": {"workflow": (io.BytesIO(text.encode()), "graph.json")}},
        "picture": {"data": {"workflow": (io.BytesIO(picture_with(graph)), "picture.png")}},
    }
    made = forms[form]
    return made if "json" in made else {**made, "content_type": "multipart/form-data"}


def picture_with(graph: dict[str, Any]) -> bytes:
    file, texts = io.BytesIO(), PngInfo()
    texts.add_text("prompt", json.dumps(graph))
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=texts)
    return file.getvalue()


FORMS = ["prompt", "workflow", "request part", "text of a form", "prompt of a form", "file", "picture"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_whole_graphs_can_be_closed_in_all_their_forms(
    api_for: MakeApi, make_app: Callable[..., Flask], sim: Simulator, form: str, accept: str
) -> None:
    for api, headers, who in (
        (api_for(graphs=False), SHOP, "The API key shop"),
        (make_app(workflows_only=True).test_client(), {}, "A caller of this bridge"),
        (make_app(workflows_only=True, api_keys=KEYS).test_client(), PRESS, "The API key press"),
    ):
        response = api.post("/generate", **graph_in(form), headers={**headers, "Accept": accept})
        said = failure(response, 403, "forbidden")["error"]
        assert said.startswith(f"{who} may not run whole graphs")
        assert sim.history == {}
    success(api_for().post("/generate", **graph_in(form), headers=SHOP))


OVERRIDES: list[dict[str, Any]] = [
    {"json": {**SMALL, "params": {"3.steps": 2}}},
    {"json": {**SMALL, "params": {"9.filename_prefix": "x"}}},
    {"json": {**SMALL, "params": {"99.nothing": 1}}},
    {"json": {**SMALL, "params": {"3.positive": ["7", 0]}}},
    {"data": {"prompt": "x", "3.steps": "2"}},
    {"data": {"prompt": "x", "params.3.steps": "2"}},
    {"data": {"prompt": "x", "request": json.dumps({"params": {"3.steps": 2}})}},
]


@pytest.mark.parametrize("asked", OVERRIDES)
def test_overrides_can_be_closed_in_all_their_forms(
    api_for: MakeApi, make_app: Callable[..., Flask], sim: Simulator, asked: dict[str, Any]
) -> None:
    def again() -> dict[str, Any]:
        return {**asked, "data": dict(asked["data"])} if "data" in asked else asked

    if "data" in asked:
        asked = {**asked, "content_type": "multipart/form-data"}
    for api, headers in (
        (api_for(overrides=False), SHOP),
        (make_app(workflows_only=True).test_client(), {}),
        (make_app(workflows_only=True, api_keys=KEYS).test_client(), PRESS),
    ):
        said = failure(api.post("/generate", **again(), headers=headers), 403, "forbidden")["error"]
        assert "may not set inputs by NODE.INPUT (" in said
        assert "prompt, negative_prompt, seed" in said
        assert sim.history == {}
    assert api_for().post("/generate", **again(), headers=SHOP).status_code in (200, 400)


@pytest.mark.parametrize(
    "fields", [{"extra_data": {"extra_pnginfo": {"workflow": {}}}}, {"partial_execution_targets": ["9"]}]
)
def test_what_else_reaches_past_the_parameters_is_closed_with_the_overrides(
    api_for: MakeApi, make_app: Callable[..., Flask], sim: Simulator, fields: dict[str, Any]
) -> None:
    (name,) = fields
    assert f"may not give {name}" in refused(api_for(overrides=False), sim, {**SMALL, **fields})
    assert f"may not give {name}" in refused(make_app(workflows_only=True).test_client(), sim, {**SMALL, **fields})
    success(api_for(overrides=False).post("/generate", json={**SMALL, "extra_data": {}}, headers=SHOP))
    success(api_for().post("/generate", json={**SMALL, **fields}, headers=SHOP))


def test_who_brings_no_graphs_can_t_load_what_others_have_made(
    api_for: MakeApi, make_app: Callable[..., Flask], sim: Simulator
) -> None:
    made = success(api_for().post("/generate", json=SMALL, headers=PRESS))["outputs"][0]
    asked = {"workflow": "img2img", "prompt": "a text [output]", "steps": 1}
    for folder in ("[output]", "[temp]", "[Output]", "[OUTPUT] "):
        name = f"{made['subfolder']}/{made['filename']} {folder}"
        for api in (make_app(workflows_only=True).test_client(), api_for(graphs=False, overrides=False)):
            assert "may not load" in refused(api, sim, {**asked, "params": {"image": name}})
    success(
        api_for().post(
            "/generate",
            json={**asked, "params": {"image": f"{made['subfolder']}/{made['filename']} [output]"}},
            headers=SHOP,
        )
    )
    success(
        api_for(graphs=False, overrides=False).post(
            "/generate", json={**asked, "params": {"image": "example.png [input]"}}, headers=SHOP
        )
    )


def test_nor_by_a_way_around_the_folders(
    api_for: MakeApi, make_app: Callable[..., Flask], tmp_path: Any, sim: Simulator
) -> None:
    """Whatever the template calls the parameter, and whatever node of whoever is behind it."""
    made = success(api_for().post("/generate", json=SMALL, headers=PRESS))["outputs"][0]
    name = f"../output/{made['subfolder']}/{made['filename']}"
    asked = {"workflow": "img2img", "prompt": "x", "steps": 1, "params": {"image": name}}
    for fields in ({"graphs": False, "overrides": False}, {"workflows": ["img2img"]}, {}):
        response = api_for(**fields).post("/generate", json=asked, headers=SHOP)
        assert "input folder" in failure(response, 400, "invalid_request")["error"]
    graph = {**graphs.picture(), "7": node("Unheard", name="x"), "8": node("CLIPTextEncode", text="x")}
    (tmp_path / "mine.json").write_text(json.dumps(graph))
    (tmp_path / "mine.yaml").write_text("parameters: {name: {node: 7, input: name}, text: {node: 8, input: text}}")
    confined = make_app(workflows_only=True, workflows_dir=tmp_path, default_workflow="mine").test_client()
    free = make_app(workflows_dir=tmp_path, default_workflow="mine").test_client()
    for value in (name, "/etc/passwd", "..\\x"):
        said = failure(confined.post("/generate", json={"params": {"name": value}}), 400, "invalid_request")["error"]
        assert said.startswith("name is '")
        # it gets as far as ComfyUI, which has no such node
        failure(free.post("/generate", json={"params": {"name": value}}), 500, "broken_workflow")
        failure(confined.post("/generate", json={"params": {"text": value}}), 500, "broken_workflow")  # prose
    assert len(sim.history) == 1


def test_a_parameter_with_a_dot_in_its_name_is_no_override(
    make_app: Callable[..., Flask], tmp_path: Any, sim: Simulator
) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(graphs.picture()))
    (tmp_path / "mine.yaml").write_text("parameters: {size.x: {node: 1, input: width}}")
    api = make_app(workflows_only=True, workflows_dir=tmp_path, default_workflow="mine").test_client()
    assert success(api.post("/generate", json={"params": {"size.x": 32}}))["outputs"][0]["width"] == 32
    assert "size.x" in refused(api, sim, {"params": {"1.width": 32}})


def test_a_list_of_workflows_closes_graphs_and_overrides_unless_they_are_opened(
    api_for: MakeApi, sim: Simulator
) -> None:
    graph, override = {"workflow": graphs.picture()}, {**SMALL, "params": {"3.cfg": 2}}
    api = api_for(workflows=["txt2img"])
    assert "txt2img" in refused(api, sim, graph)
    refused(api, sim, override)
    api = api_for(workflows=["txt2img"], graphs=True)
    success(api.post("/generate", json=graph, headers=SHOP))
    refused(api, sim, override)
    api = api_for(workflows=["txt2img"], overrides=True)
    success(api.post("/generate", json=override, headers=SHOP))
    refused(api, sim, graph)


def test_workflows_only_wins_over_the_policies(
    make_app: Callable[..., Flask], policy_file: Callable[..., str], sim: Simulator
) -> None:
    policies = policy_file(shop={"graphs": True, "overrides": True, "max_steps": 5})
    api = make_app(api_keys=KEYS, policy_file=policies, workflows_only=True).test_client()
    refused(api, sim, {"workflow": graphs.picture()})
    refused(api, sim, {**SMALL, "params": {"3.cfg": 2}})
    refused(api, sim, {**SMALL, "steps": 6})
    success(api.post("/generate", json={**SMALL, "steps": 5}, headers=SHOP))


@pytest.mark.parametrize("fields", [{"front": True}, {"number": -5}])
def test_a_place_in_the_queue_can_be_closed(api_for: MakeApi, sim: Simulator, fields: dict[str, Any]) -> None:
    assert "leave out front and number" in refused(api_for(priority=False), sim, {**SMALL, **fields})
    success(api_for(priority=False).post("/generate", json={**SMALL, "front": False}, headers=SHOP))
    success(api_for().post("/generate", json={**SMALL, **fields}, headers=SHOP))


# -- node classes ------------------------------------------------------------------------------------------------


def test_node_classes_can_be_refused(api_for: MakeApi, sim: Simulator) -> None:
    api = api_for(refused_nodes=["EmptyImage", "KSampler"])
    said = refused(api, sim, {"workflow": graphs.picture()})
    assert "may not use the node class EmptyImage (node 1); refused are EmptyImage, KSampler." in said
    assert "KSampler (node 3)" in refused(api, sim, SMALL)  # in a template too
    success(api.post("/generate", json={"workflow": graphs.picture()}, headers=PRESS))


def test_or_all_but_some(api_for: MakeApi, sim: Simulator) -> None:
    api = api_for(allowed_nodes=["EmptyImage", "SaveImage"])
    success(api.post("/generate", json={"workflow": graphs.picture()}, headers=SHOP))
    said = refused(api, sim, {"workflow": graphs.picture(save="PreviewImage")})
    assert "may not use the node class PreviewImage (node 2); allowed are " in said
    refused(api_for(allowed_nodes=["EmptyImage", "SaveImage"], refused_nodes=["SaveImage"]), sim,
            {"workflow": graphs.picture()})  # fmt: skip


# -- sizes, steps, batches ---------------------------------------------------------------------------------------

SIZES = {"max_width": 128, "max_height": 96, "max_pixels": 10_000, "max_steps": 3, "max_batch_size": 2}


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"width": 136}, "at most 128"),
        ({"height": 104}, "at most 96"),
        ({"width": 128, "height": 96}, "at most 10000 pixels"),
        ({"steps": 4}, "at most 3"),
        ({"batch_size": 3}, "at most 2"),
        ({"image_count": 3}, "at most 2"),
        ({"params": {"5.width": 4096}}, "at most 128"),
        ({"params": {"5.width": "4096"}}, "not 4096"),
        ({"params": {"5.batch_size": 3.0}}, "at most 2"),
    ],
)
def test_sizes_steps_and_batches_have_limits(
    api_for: MakeApi, sim: Simulator, fields: dict[str, Any], most: str
) -> None:
    api = api_for(**SIZES)
    given = fields.get("params", fields).keys()
    base = {name: value for name, value in SMALL.items() if f"5.{name}" not in given}
    said = refused(api, sim, {**base, **fields})
    assert said.startswith("The API key shop may have at most ")
    assert most in said
    asked = {**SMALL, "width": 128, "height": 72, "steps": 3, "batch_size": 2}
    assert success(api.post("/generate", json=asked, headers=SHOP))["outputs"][0]["width"] == 128


def test_the_limits_hold_for_what_a_template_has_of_its_own(api_for: MakeApi, sim: Simulator) -> None:
    """Its 512 x 512 are more than a caller may have who says nothing."""
    assert "at most 128" in refused(api_for(**SIZES), sim, {"prompt": "a cat", "steps": 1})


def with_width(value: Any, **more: Any) -> dict[str, Any]:
    graph = graphs.picture()
    graph["1"]["inputs"]["width"] = value
    return {"workflow": {**graph, **more}}


@pytest.mark.parametrize(
    "asked",
    [
        with_width(4096),
        with_width("4096"),
        with_width(" 4_096 "),
        with_width("0" * 500 + "4096"),
        with_width(4096.0),
        with_width({"__value__": 4096}),
        with_width({"__value__": "4096"}),
        with_width("nan"),
        with_width("inf"),
        with_width(2**64 - 1),
        with_width("9" * 400),
        with_width(["7", 0], **{"7": node("PrimitiveInt", value=4096)}),
        with_width(["7", 0], **{"7": node("PrimitiveInt", value=["8", 0]), "8": node("PrimitiveInt", value="4096")}),
        with_width(["7", 0], **{"7": node("SomethingElse", value=64)}),  # it may change it in any way
        with_width(["7", 1], **{"7": node("SolidMask", value=1.0, width=8, height=8)}),
    ],
)
def test_a_number_is_found_however_it_is_written(api_for: MakeApi, sim: Simulator, asked: dict[str, Any]) -> None:
    assert "width in node 1 (EmptyImage)" in refused(api_for(max_width=1024), sim, asked)


@pytest.mark.parametrize("value", [64, "64", {"__value__": 64}])
def test_a_number_within_the_limit_is_fine_however_it_is_written(api_for: MakeApi, value: Any) -> None:
    """What the stand-in makes of it is its own business."""
    assert api_for(max_width=64).post("/generate", json=with_width(value), headers=SHOP).status_code != 403


def test_a_link_to_a_constant_is_fine(api_for: MakeApi, sim: Simulator) -> None:
    """The stand-in has no such node, so the graph gets as far as ComfyUI."""
    asked = with_width(["7", 0], **{"7": node("PrimitiveInt", value=64)})
    failure(api_for(max_width=1024).post("/generate", json=asked, headers=SHOP), 400, "invalid_workflow")
    asked = with_width(["7", 0], **{"7": node("SomethingElse", value=64)})
    failure(api_for(max_steps=5).post("/generate", json=asked, headers=SHOP), 400, "invalid_workflow")


@pytest.mark.parametrize(
    ("policy", "extra"),
    [
        ({"max_width": 64}, node("Any", empty_latent_width=65)),
        ({"max_height": 64}, node("Any", **{"resize.height": 65})),
        ({"max_pixels": 4000}, node("Any", target_width=64, target_height=64)),
        ({"max_pixels": 1_000_000}, node("Any", megapixels=1.5)),
        ({"max_steps": 5}, node("Any", refine_steps=6)),
        ({"max_batch_size": 2}, node("RepeatLatentBatch", amount=3)),
        ({"max_batch_size": 2}, node("Any", batch_count=3)),
        ({"max_width": 64}, node("Any", imagewidth=65)),
        ({"max_width": 64}, node("Any", MaxWidth="65")),
        ({"max_width": 64}, node("Any", width_=65)),
        ({"max_width": 64}, node("Any", width_2=65)),
        ({"max_height": 64}, node("Any", height_px=65)),
        ({"max_height": 64}, node("Any", target_height_=["9", 0])),
        ({"max_steps": 5}, node("Any", numsteps=6)),
        ({"max_steps": 5}, node("Any", **{"max-steps": 6})),
        ({"max_batch_size": 2}, node("Any", **{"batch-size": 3})),
        ({"max_batch_size": 2}, node("Any", batch=3)),
        ({"max_width": 64}, node("ImageScaleToMaxDimension", largest_size=65)),
        ({"max_height": 64}, node("Any", longer_edge=65)),
        ({"max_height": 64}, node("Any", **{"resize_type.shorter_size": 65})),
        ({"max_pixels": 4000}, node("Any", longest_side=64)),
        ({"max_pixels": 4000}, node("Any", resolution=64)),
        ({"max_pixels": 4000}, node("Any", width_1=64, height_1=64, width_2=8, height_2=8)),
        ({"max_width": 64}, node("Any", max_size=["9", 0])),
    ],
)
def test_inputs_are_known_by_their_names_in_any_node(
    api_for: MakeApi, sim: Simulator, policy: dict[str, int], extra: dict[str, Any]
) -> None:
    source = node("Anything", value=64)
    asked = {"workflow": {**graphs.picture(64, 48), "7": extra, "9": source}}
    assert "node 7" in refused(api_for(**policy), sim, asked)


@pytest.mark.parametrize(
    "inputs",
    [
        {"cfg": 99, "seed": 2**60, "fps": 60, "length": 81, "end_at_step": 10_000, "start_at_step": 50},
        {"tile_size": 512, "kernel_size": 99, "texture_size": 4096, "octree_resolution": 256, "step": 50},
        {"height_map": ["1", 0], "width_mode": "any", "size": ["1", 0], "batch": ["1", 0], "resolution": ["1", 0]},
        {"resolution": "1080p", "size": "1024x1024", "batch_index": 63, "stepsize": 9999},
    ],
)
def test_other_numbers_are_nobody_s_business(api_for: MakeApi, sim: Simulator, inputs: dict[str, Any]) -> None:
    """The stand-in has no such node, so the graph gets as far as ComfyUI."""
    api = api_for(max_width=64, max_height=64, max_pixels=5000, max_steps=5, max_batch_size=2)
    asked = {"workflow": {**graphs.picture(64, 48), "7": node("Any", **inputs)}}
    failure(api.post("/generate", json=asked, headers=SHOP), 400, "invalid_workflow")


def test_a_template_s_links_are_its_owner_s_business(
    make_app: Callable[..., Flask], policy_file: Callable[..., str], tmp_path: Any, sim: Simulator
) -> None:
    graph = with_width(["7", 0], **{"7": node("Anything", value=64)})["workflow"]
    (tmp_path / "linked.json").write_text(json.dumps(graph))
    (tmp_path / "linked.yaml").write_text("parameters: {width: {node: 7, input: value}}")
    policies = policy_file(default={"max_width": 128})
    api = make_app(workflows_dir=tmp_path, default_workflow="linked", policy_file=policies).test_client()
    for width, type, status in ((64, "broken_workflow", 500), (136, "forbidden", 403)):
        failure(api.post("/generate", json={"width": width}), status, type)
    # a link from the caller is not
    refused(api, sim, {"width": 64, "params": {"1.width": ["7", 0]}}, {})


def test_a_parameter_is_known_by_its_name_whatever_its_input_is_called(
    make_app: Callable[..., Flask], policy_file: Callable[..., str], tmp_path: Any, sim: Simulator
) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({**graphs.picture(), "7": node("Anything", side=64)}))
    (tmp_path / "mine.yaml").write_text("parameters: {width: {node: 7, input: side}}")
    api = make_app(workflows_dir=tmp_path, policy_file=policy_file(default={"max_width": 128})).test_client()
    assert refused(api, sim, {"workflow": "mine", "width": 136}, {}).endswith("at most 128 as width, not 136.")


def test_an_input_image_must_not_be_larger_either(api_for: MakeApi, sim: Simulator) -> None:
    api = api_for(max_width=128, max_pixels=10_000)
    before = [*sim.input_directory.rglob("*")]
    for width, height, said in ((136, 8, "128 pixels of width"), (128, 96, "10000 pixels; image is 128 x 96")):
        picture = (io.BytesIO(png(width, height)), "a.png")
        data = {"workflow": "img2img", "prompt": "x", "steps": "1", "image": picture}
        assert said in failure(api.post("/generate", data=data, headers=SHOP), 403, "forbidden")["error"]
    assert sim.history == {}
    assert [*sim.input_directory.rglob("*")] == before
    data = {"workflow": "img2img", "prompt": "x", "steps": "1", "image": (io.BytesIO(png(64, 64)), "a.png")}
    success(api.post("/generate", data=data, headers=SHOP))


# -- what is told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/models", "/models/checkpoints", "/stats", "/metrics"])
def test_models_and_servers_can_be_kept_from_a_key(api_for: MakeApi, path: str) -> None:
    api = api_for(server_info=False)
    failure(api.get(path, headers=SHOP), 403, "forbidden")
    assert api.get(path, headers=PRESS).status_code == 200
    assert api.get("/queue", headers=SHOP).status_code == 200


def test_nothing_is_refused_where_nothing_is_set(api_for: MakeApi, api: FlaskClient) -> None:
    for client, headers in ((api_for(), SHOP), (api_for(max_steps=1), PRESS), (api, {})):
        asked = {"workflow": graphs.picture(300, 200, batch=3), "params": {"1.color": 5}, "front": True}
        success(client.post("/generate", json=asked, headers=headers))
