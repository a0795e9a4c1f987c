"""A parameter says what it accepts, and refuses the rest in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.errors import InvalidRequest
from comfybridge.workflow.parameters import Parameter, Target

TARGETS = (Target("3", "x"),)


def parameter(kind: Any, name: str = "x", **more: Any) -> Parameter:
    return Parameter(name, TARGETS, kind, **more)


ACCEPTED = [
    (parameter("integer"), 20, 20),
    (parameter("integer"), 20.0, 20),
    (parameter("integer", "steps"), 1, 1),
    (parameter("integer", "steps"), 10_000, 10_000),
    (parameter("integer", "seed"), 2**64 - 1, 2**64 - 1),
    (parameter("number"), 7.5, 7.5),
    (parameter("number"), 7, 7),
    (parameter("number", "denoise"), 0, 0),
    (parameter("number", "denoise"), 1, 1),
    (parameter("string"), "", ""),
    (parameter("boolean"), False, False),
    (parameter("image"), "a.png", "a.png"),
    (parameter("string", choices=("a", "b")), "b", "b"),
    (parameter(None), "x", "x"),
    (parameter("integer", "steps", min=5, max=9), 9, 9),
]
REFUSED = [
    (parameter("integer", "steps"), "20", "steps is the text '20'; it must be an integer from 1 to 10000."),
    (parameter("integer", "steps"), True, "steps is true; it must be an integer"),
    (parameter("integer", "steps"), 20.5, "steps is 20.5"),
    (parameter("integer", "steps"), None, "steps is null"),
    (parameter("integer", "steps"), 0, "steps is 0; it must be an integer from 1 to 10000."),
    (parameter("integer", "steps"), 10_001, "steps is 10001"),
    (parameter("integer", "steps", max=9), 10, "from 1 to 9"),
    (parameter("integer", "width"), 15, "from 16 to 16384"),
    (parameter("integer", "batch_size"), 4097, "from 1 to 4096"),
    (parameter("integer", "seed"), -2, "(or -1 or null for a random one)"),
    (parameter("integer", "seed"), 2**64, "from 0 to 18446744073709551615"),
    (parameter("integer"), 10**4000, "a number of more than 77 digits"),
    (parameter("number", "cfg"), float("nan"), "cfg is nan; it must be a number from 0 to 100."),
    (parameter("number", "cfg"), float("inf"), "cfg is inf"),
    (parameter("number"), "7.5", "it must be a number."),
    (parameter("number", min=1), 0, "of at least 1"),
    (parameter("number", max=1), 2, "of at most 1"),
    (parameter("number", "denoise"), 1.01, "from 0 to 1"),
    (parameter("string"), 5, "x is 5; it must be a text."),
    (parameter("string"), ["a"], "x is a list"),
    (parameter("boolean"), 1, "it must be true or false"),
    (parameter("image"), "", "the name of a file in ComfyUI's input folder"),
    (parameter(None), [1], "x is a list"),
    (parameter(None), float("nan"), "x is nan"),
    (parameter("string", choices=("euler", "dpmpp_2m")), "dpmpp2m", "must be one of dpmpp_2m, euler."),
    (parameter("integer", choices=(1, 2)), True, "x is true"),
]


@pytest.mark.parametrize(("given", "value", "result"), ACCEPTED)
def test_a_value_that_fits_is_accepted(given: Parameter, value: Any, result: Any) -> None:
    checked = given.check(value)
    assert checked == result
    assert type(checked) is type(result)


@pytest.mark.parametrize(("given", "value", "sentence"), REFUSED)
def test_a_value_that_does_not_fit_is_refused_in_a_sentence(given: Parameter, value: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        given.check(value)
    assert sentence in caught.value.message
    assert caught.value.message.endswith(".")


def test_a_long_list_of_choices_is_cut_nearest_first() -> None:
    many = parameter("string", choices=tuple(f"model{i}" for i in range(100)))
    with pytest.raises(InvalidRequest, match=r"one of model99, .* and 80 more\."):
        many.check("modell99")


def test_the_schema_says_what_check_accepts() -> None:
    assert parameter("integer", "steps", default=20, description="d").schema() == {
        "type": "integer", "description": "d", "minimum": 1, "maximum": 10_000, "default": 20,
    }  # fmt: skip
    assert parameter("string", choices=("a",), default="a").schema() == {
        "type": "string", "enum": ["a"], "default": "a",
    }  # fmt: skip
    assert parameter("integer", "seed", default=7).schema() == {
        "type": ["integer", "null"], "minimum": -1, "maximum": 2**64 - 1, "default": -1,
    }  # fmt: skip
    assert parameter("image").schema() == {"type": "string", "format": "image"}
    assert parameter(None).schema() == {}


def test_a_servers_choices_go_into_the_schema_with_the_default_in_their_spelling() -> None:
    model = parameter("string", "model", default="sub/a.safetensors")
    assert model.schema(["sub\\a.safetensors", "b"])["default"] == "sub\\a.safetensors"
    assert model.schema(["b"]) == {"type": "string", "enum": ["b"]}
