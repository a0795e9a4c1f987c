"""`{a|b}` in texts, by the rules of ComfyUI's editor."""

from __future__ import annotations

import itertools

import pytest

from comfybridge.workflow.choices_in_text import LONGEST, choose, may_hold_choices
from tests.growth import TIMES, grows_evenly


def first(text: str) -> str:
    return choose(text, lambda: 0.0)


def last(text: str) -> str:
    return choose(text, lambda: 0.999)


# a text, and the results with the first and with the last option of each group
TEXTS = {
    "two options": ("a {red|blue} ball", "a red ball", "a blue ball"),
    "an empty option": ("a {very |}old man", "a very old man", "a old man"),
    "one within another": ("{a {big|small} cat|a dog}", "a big cat", "a dog"),
    "several": ("{a|b} {c|d}", "a c", "b d"),
    "one that is not closed": ("a {red|blue", "a red", "a blue"),
    "signs that are plain": (r"\{a\|b\} {c\|d|e}", "{a|b} c|d", "{a|b} e"),
    "other backslashes": (r"a \(cat\) {b|c\n}", r"a \(cat\) b", r"a \(cat\) c\n"),
    "slashes and stars": (
        "{red /* dark */|blue} // not {x|y}\nand//or",
        "red /* dark */ // not x\nand//or",
        "blue // not y\nand//or",
    ),
}
UNTOUCHED = {
    "no signs": "a cat, (best quality:1.2), [x|y] | z",
    "braces around one": "{{masterpiece}}, a {cat}",
    "an object in JSON": '{"scene": "a {cat}", "style": "red|blue", "of": {"x": [1, "a|b"]}}',
    "JSON within a text": 'Paint this: {"a": "b|c"}',
    "addresses": "as on https://example.org/a",
    "a brace that is closed only": "a } b | c",
    "what the editor takes for comments": "// a\nand//or style, /* 1girl */ https://example.org",
    "nested too deeply": "{a|" * 100 + "}" * 100,
}


@pytest.mark.parametrize(("text", "by_first", "by_last"), TEXTS.values(), ids=TEXTS.keys())
def test_one_option_of_each_group_is_drawn(text: str, by_first: str, by_last: str) -> None:
    assert may_hold_choices(text)
    assert (first(text), last(text)) == (by_first, by_last)


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED.keys())
def test_what_holds_no_choice_stays(text: str) -> None:
    assert (first(text), last(text)) == (text, text)


def test_options_within_json_are_drawn_and_the_object_stays() -> None:
    assert last('{"color": "{red|blue}", "n": 1}') == '{"color": "blue", "n": 1}'


def test_each_option_is_drawn_as_often_as_the_others() -> None:
    draws = itertools.count()
    drawn = [choose("{a|b|c}", lambda: next(draws) % 300 / 300) for _ in range(300)]
    assert {each: drawn.count(each) for each in "abc"} == {"a": 100, "b": 100, "c": 100}


@pytest.mark.parametrize("part", ["{", "{a|", "{}", "\\", '{"a|', "{{|}"])
def test_no_text_takes_long(part: str) -> None:
    longest = LONGEST // len(part)
    grows_evenly(lambda count: part * count, lambda text: choose(text, lambda: 0.5), longest // TIMES // 4)
    text = part * longest
    assert not may_hold_choices(text + "{a|b}" * LONGEST)
