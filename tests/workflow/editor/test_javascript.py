"""Numbers and texts as JavaScript has them."""

from __future__ import annotations

from typing import Any

import pytest

from comfybridge.workflow.editor.javascript import plain, text


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (18446744073709551615, 18446744073709552000),
        (2**53 + 1, 2**53),
        (-(2**53) - 1, -(2**53)),
        (1.0, 1),
        (-0.0, 0),
        (0.1, 0.1),
        (1e21, 1e21),
        (1e20, 10**20),
        (10**400, None),
        (float("nan"), None),
        (float("inf"), None),
        ([1.0, {"a": 2.0}], [1, {"a": 2}]),
    ],
)
def test_numbers_are_doubles(value: Any, wanted: Any):
    made = plain(value)
    assert made == wanted
    assert type(made) is type(wanted)
    assert str(made) == str(wanted)


@pytest.mark.parametrize("value", [True, None, "1.0"])
def test_what_is_no_number_stays(value: Any):
    assert plain(value) is value


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"),
        (0.00001, "0.00001"),
        (1e21, "1e+21"),
        (123456789.25, "123456789.25"),
        (7.0, "7"),
        (True, "true"),
        (None, ""),
        (["a", 1, None], "a,1,"),
        ({"a": 1}, "[object Object]"),
    ],
)
def test_texts_are_written_as_javascript_writes_them(value: Any, wanted: str):
    assert text(value) == wanted
