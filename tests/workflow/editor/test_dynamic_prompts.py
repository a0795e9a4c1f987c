r"""Texts: `{red|blue}`, comments, and patterns in file names, at once or for later."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from comfybridge.workflow.editor.conversion import Moment, conversion
from comfybridge.workflow.editor.dynamic_prompts import drawn, without_comments
from tests.workflow.editor.drawn import empty_image, file, node, save_image
from tests.workflow.editor.judge import load


def last(_: Any = None) -> float:
    return 0.999


def first(_: Any = None) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a {red|blue} cat", "a blue cat"),
        ("{a|{b|c}}", "c"),
        ("{one}", "one"),
        ("{a|}", ""),
        (r"\{a\|b\}", "{a|b}"),
        ("open {a|b", "open b"),
        ("closed} | twice}", "closed} | twice}"),
        ("a /* b */ c // d\ne", "a  c \ne"),
        ("https://x.y", "https:"),
        ("a /* b", "a /* b"),
    ],
)
def test_choices_are_drawn_and_comments_go(text: str, wanted: str):
    assert drawn(text, last) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a {red|blue} cat // c", "a {red|blue} cat "),
        ("{one} {a|{b}}", "one {a|b}"),
        (r"\{a\|b\}", r"\{a\|b\}"),
        ("{a|b", "{a|b}"),
    ],
)
def test_without_a_draw_choices_stay_for_later(text: str, wanted: str):
    assert drawn(text, None) == wanted


def test_comments_end_with_their_line_or_their_sign():
    assert without_comments("a//b\r\nc/*d\n*/e/f") == "a\r\nce/f"


def prefixes(moment: Moment | None, *given: str, **more: Any) -> list[str]:
    """What saving nodes send as their prefixes, beside a sampler with the seed 5, and a picture titled Base."""
    savers = [save_image(number, 1, prefix) for number, prefix in enumerate(given, 10)]
    sampler = node(2, "KSampler", [5, "fixed", 20, 7.5, "euler", "normal", 1], **more)
    workflow = file([empty_image(1, title="Base"), sampler, *savers], [(1, 1, 0, 10)])
    prompt = conversion(workflow, load("object_info-0.33.0"), moment).prompt
    return [prompt[str(number)]["inputs"]["filename_prefix"] for number, _ in enumerate(given, 10)]


def test_file_names_tell_the_time_and_what_widgets_hold():
    moment = Moment(datetime(2026, 1, 2, 3, 4, 5), first)
    assert prefixes(
        moment, "%date:yyyy-MM-dd%/%KSampler.seed%", "%Base.width%_%KSampler.cfg%", "%No.seed%%width%"
    ) == [
        "2026-01-02/5",
        "64_7.5",
        "%No.seed%%width%",
    ]


def test_a_node_is_meant_by_its_name_for_search_and_replace():
    moment = Moment(datetime(2026, 1, 2), first)
    assert prefixes(moment, "%Sampler.seed%", properties={"Node name for S&R": "Sampler"}) == ["5"]


def test_what_a_widget_holds_makes_no_folders():
    loader = node(1, "CheckpointLoaderSimple", ["a/b:c"])
    workflow = file([loader, save_image(2, None, "%CheckpointLoaderSimple.ckpt_name%")])
    prompt = conversion(workflow, load("object_info-0.33.0"), Moment(datetime(2026, 1, 2), first)).prompt
    assert prompt["2"]["inputs"]["filename_prefix"] == "a_b_c"


def test_for_later_patterns_stay():
    assert prefixes(None, "%date:yyyy%_%KSampler.seed%") == ["%date:yyyy%_%KSampler.seed%"]
