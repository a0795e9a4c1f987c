"""What authors wrote beside a graph tells which text is a person's and what a value is for, where links don't."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.workflow.discovery import Discovery, examine
from comfybridge.workflow.editor.conversion import Conversion
from comfybridge.workflow.editor.sending import Shown
from comfybridge.workflow.filling import fill
from comfybridge.workflow.graph import check_graph
from comfybridge.workflow.template import Template
from tests.workflow.drawn import default, encode, node

Graph = dict[str, dict[str, Any]]


def titled(title: str, each: dict[str, Any]) -> dict[str, Any]:
    return {**each, "_meta": {"title": title}}


def text(value: str, title: str = "Text") -> dict[str, Any]:
    return titled(title, node("PrimitiveStringMultiline", value=value))


def number(value: float, title: str = "Int") -> dict[str, Any]:
    return titled(title, node("PrimitiveInt", value=value))


def joined(*parts: str) -> dict[str, Any]:
    return node("StringConcatenate", string_a=[parts[0], 0], string_b=[parts[1], 0], delimiter="")


def latent(width: str, height: str) -> dict[str, Any]:
    return node("EmptyLatentImage", width=[width, 0], height=[height, 0], batch_size=1)


def doubled(of: str) -> dict[str, Any]:
    return node("ComfyMathExpression", expression="a * 2", **{"values.a": [of, 0]})


def shown(target: str, label: str | None, *, within: str = "50", name: str = "value") -> Shown:
    node_id, _, input_name = target.rpartition(".")
    return Shown(within, "A subgraph", name, label, ((node_id, input_name),))


def discovered(graph: Graph, *widgets: Shown, titles: dict[str, str] | None = None) -> Discovery:
    """What is found in a graph that was made of an editor's file with these widgets; without any, of an export."""
    checked = check_graph(graph)
    said = Conversion(checked, titles or {}, {}, widgets, ()) if widgets or titles else None
    return examine(checked, None, said)


def targets(found: Discovery) -> dict[str, str]:
    return {name: " ".join(f"{t.node}.{t.input}" for t in each.targets) for name, each in found.parameters.items()}


# a graph, and what is found; an empty text where there must be no such parameter
TITLES: dict[str, tuple[Graph, dict[str, str]]] = {
    "a person's text after instructions": (
        default(n6=encode(["20", 0]), n20=joined("21", "22"), n21=text("You are an expert.", "System Prompt"),
                n22=text("a fox", "User Prompt")),
        {"prompt": "22.value"},
    ),
    "a person's text that a language model makes longer": (
        default(n6=encode(["20", 0]), n20=node("TextGenerate", prompt=["23", 0], max_length=512, seed=0),
                n21=text("You are an expert.", "Instructions"), n22=text("a fox"), n23=joined("21", "22")),
        {"prompt": "22.value"},
    ),
    "instructions alone": (
        default(n6=encode(["20", 0]), n20=text("You are an expert.", "System Prompt")), {"prompt": "20.value"},
    ),
    "two texts of which both are called instructions": (
        default(n7=encode(["20", 0]), n20=joined("21", "22"), n21=text("You draw badly.", "System prompt"),
                n22=text("blurry", "System prompt")),
        {"negative_prompt": "22.value"},
    ),
    "a line out of a list, and a text": (
        default(n6=encode(["20", 0]), n20=joined("21", "22"), n22=text("a fox"),
                n21=node("RegexExtract", string="one\ntwo", regex_pattern="(.*)", mode="First Group")),
        {"prompt": "22.value"},
    ),
    "a template that a person's text is put into": (
        default(n6=encode(["20", 0]), n20=node("StringReplace", string=["21", 0], find="{user_prompt}",
                replace=["22", 0]), n21=text("Draw this: {user_prompt}"), n22=text("a fox")),
        {"prompt": "22.value"},
    ),
    "a template that something else is put into": (
        default(n6=encode(["20", 0]), n20=node("StringReplace", string=["21", 0], find="<size>", replace=["22", 0]),
                n21=text("a fox, <size>"), n22=text("large")),
        {"prompt": "21.value"},
    ),
    "a size that is worked out": (
        default(n5=latent("20", "21"), n20=doubled("22"), n21=doubled("23"), n22=number(640, "Int (Width)"),
                n23=number(480, "Height")),
        {"width": "22.value", "height": "23.value"},
    ),
    "a size that is worked out of something else": (
        default(n5=latent("20", "21"), n20=doubled("22"), n21=doubled("22"), n22=number(640),
                n23=number(1, "Width"), n24=number(2, "Height"), n25=node("Show", a=["23", 0], b=["24", 0])),
        {"width": "", "height": ""},
    ),
    "a title that two nodes have": (
        default(n5=node("EmptyVideo", width=8, height=8, length=["20", 0]), n22=number(5, "Duration"),
                n20=node("ComfyMathExpression", expression="a * b", a=["22", 0], b=["23", 0]),
                n23=number(24, "Duration")),
        {"duration": "", "length": ""},
    ),
    "a length that is worked out of seconds": (
        default(n5=node("EmptyVideo", width=8, height=8, length=["20", 0]), n22=number(5, "Duration"),
                n20=node("ComfyMathExpression", expression="a * b", a=["22", 0], b=["23", 0]),
                n23=number(24, "Frame Rate")),
        {"duration": "22.value", "fps": "23.value", "length": ""},
    ),
    "links against titles": (
        default(n6=titled("Negative Prompt", encode("a cat")), n7=titled("Positive Prompt", encode("blurry")),
                n20=text("a dog", "Prompt"), n21=node("Show", text=["20", 0])),
        {"prompt": "6.text", "negative_prompt": "7.text"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("graph", "expected"), TITLES.values(), ids=TITLES.keys())
def test_titles_help_where_links_leave_a_choice(graph: Graph, expected: dict[str, str]) -> None:
    found = targets(discovered(graph))
    assert {name: found.get(name, "") for name in expected} == expected


def test_the_titles_of_a_file_count_and_not_those_that_the_editor_writes_itself() -> None:
    graph = default(n5=latent("20", "21"), n20=doubled("22"), n21=doubled("23"), n22=number(640, "Width"),
                    n23=number(480, "Height"))  # fmt: skip
    assert "width" not in targets(discovered(graph, titles={"22": "Wide"}))
    assert targets(discovered(graph, titles={"22": "Width", "23": "Height"}))["width"] == "22.value"


def test_a_text_that_a_subgraph_shows_is_a_persons() -> None:
    graph = default(n6=encode(["20", 0]), n20=joined("50:21", "50:22"))
    graph.update({"50:21": text("Draw this:"), "50:22": text("a fox")})
    assert targets(discovered(graph))["prompt"] == "50:21.value"
    assert targets(discovered(graph, shown("50:22.value", None)))["prompt"] == "50:22.value"


def test_what_a_subgraph_shows_under_a_label_is_called_after_the_label() -> None:
    graph = default(n6=encode(["50:20", 0]))
    graph["50:20"] = node("Enhance", text="a fox", tokens=512, think=False)
    found = discovered(graph, shown("50:20.tokens", "Max Tokens"), shown("50:20.think", "thinking"))
    assert targets(found)["max_tokens"] == "50:20.tokens"
    assert found.parameters["thinking"].type == "boolean"


@pytest.mark.parametrize(("label", "value"), [("Denoise", True), ("image", "a fox"), ("Model", 3), ("Width", 512)])
def test_a_label_gives_no_usual_name_to_another_kind_of_value(label: str, value: object) -> None:
    graph = default(n3=node("Maker", prompt="a fox", image=["50:20", 0]))
    graph["50:20"] = node("Prepare", value=value, other=1)
    assert label.lower() not in targets(
        discovered({"3": graph["3"], "50:20": graph["50:20"]}, shown("50:20.value", label))
    )


def test_a_label_is_no_second_name() -> None:
    graph = default(n6=encode(["50:20", 0]))
    graph["50:20"] = text("a fox")
    found = targets(discovered(graph, shown("50:20.value", "what to draw")))
    assert found["prompt"] == "50:20.value"
    assert "what_to_draw" not in found


def test_only_what_the_graph_itself_shows_counts_and_no_label_that_two_have() -> None:
    graph = default(n6=encode(["50:20", 0]))
    graph["50:20"] = node("Enhance", text="a fox", tokens=512, other=3, third=4)
    inner = shown("50:20.tokens", "tokens", within="50:7")
    twice = shown("50:20.other", "amount"), shown("50:20.third", "amount", within="51")
    assert {"tokens", "amount"}.isdisjoint(targets(discovered(graph, inner, *twice)))


def test_a_labelled_value_can_be_set() -> None:
    graph = default(n6=encode(["50:20", 0]))
    graph["50:20"] = node("Enhance", text="a fox", tokens=512)
    checked = check_graph(graph)
    said = Conversion(checked, {}, {}, (shown("50:20.tokens", "Max Tokens"),), ())
    template = Template.of_graph(checked, said).learned()
    assert fill(template, {"max_tokens": 64}).graph["50:20"]["inputs"]["tokens"] == 64


def test_what_a_title_has_told_is_not_unclear() -> None:
    graph, _ = TITLES["a size that is worked out"]
    assert not {"width", "height"} & discovered(graph).unclear.keys()


def test_what_one_widget_of_a_subgraph_sets_is_set_together() -> None:
    graph = default(n6=encode(["50:20", 0]))
    graph["50:20"] = node("ComfySwitchNode", switch=False, on_true=["50:21", 0], on_false="a fox")
    graph["50:21"] = node("TextGenerate", prompt="a fox", max_length=512)
    both = Shown("50", "A subgraph", "text", None, (("50:20", "on_false"), ("50:21", "prompt")))
    assert targets(discovered(graph))["prompt"] == "50:20.on_false"
    assert targets(discovered(graph, both))["prompt"] == "50:20.on_false 50:21.prompt"
