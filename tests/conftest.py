"""What all tests share: the option that names a real ComfyUI for the contract tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--comfyui-url",
        metavar="URL",
        help="run tests/contract against the ComfyUI at this URL instead of the simulator",
    )
