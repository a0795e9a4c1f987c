"""Refusals are sentences for people."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.dialects.comfy.calls import post, refused


def test_the_rule_for_names_of_labels_is_legible(api: FlaskClient) -> None:
    error = refused(post(api, metadata={"a b": "x"}), 422, "metadata_invalid")
    assert error["message"].endswith("a name has 1 to 40 letters, digits, dots, _ and -.")
