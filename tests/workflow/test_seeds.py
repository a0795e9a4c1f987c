"""A seed fits every input that it reaches, and reaches every sampler that stands beside the first."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from comfybridge.errors import InvalidRequest
from comfybridge.workflow.discovery import examine
from comfybridge.workflow.filling import fill
from comfybridge.workflow.graph import check_graph
from comfybridge.workflow.offer import offer_of
from comfybridge.workflow.template import Template
from tests.workflow.drawn import default, node, of_caller, sampler


def saved(node_id: int) -> dict[str, Any]:
    """The nodes that save what a sampler made."""
    decode = node("VAEDecode", samples=[str(node_id), 0], vae=["4", 2])
    save = node("SaveImage", filename_prefix="x", images=[f"{node_id}d", 0])
    return {f"{node_id}d": decode, f"{node_id}s": save}


PARALLEL = {
    **default(n11=sampler(seed=22), n12=sampler(seed=7), n13=sampler(seed=22)),
    **saved(11),
    **saved(12),
    **saved(13),
}


@dataclass
class Told:
    """What a server tells of a class in these stories: its limits."""

    high: float
    output_names: Sequence[str] = field(default_factory=list)

    def limits(self, input_name: str) -> tuple[float | None, float | None]:
        return 0, self.high

    def choices(self, input_name: str, given: Mapping[str, Any] | None = None) -> list[Any] | None:
        return None


def of(graph: dict[str, Any]) -> Template:
    checked = check_graph(graph)
    return Template.of_discovery("t", "", checked, examine(checked))


def seeds(graph: dict[str, Any]) -> dict[str, int]:
    return {node: each["inputs"]["seed"] for node, each in graph.items() if "seed" in each["inputs"]}


def small(name: str) -> Told | None:
    return Told(2**32 - 1) if name == "Small Sampler" else None


@pytest.mark.parametrize(
    ("graph", "high"),
    [
        (default(n3=sampler(seed=["20", 0]), n20=node("Seed (rgthree)", seed=5)), 2**50),
        (default(n3={**sampler(), "class_type": "Small Sampler"}), 2**32 - 1),
        # the node that holds it takes more than the sampler that it is linked to
        (
            default(
                n3={**sampler(seed=["20", 0]), "class_type": "Small Sampler"}, n20=node("Seed (rgthree)", seed=5)
            ),
            2**32 - 1,
        ),
        ({**default(n11={**sampler(seed=22), "class_type": "Small Sampler"}), **saved(11)}, 2**32 - 1),
    ],
)
def test_a_drawn_seed_fits_every_input_that_it_reaches(graph: dict[str, Any], high: int) -> None:
    template = of(graph)
    drawn = [fill(template, {}, facts=small, rng=random.Random(n)).seed for n in range(40)]
    assert all(seed is not None and seed <= high for seed in drawn)
    assert max(seed or 0 for seed in drawn) > high / 2
    assert offer_of(template, small).limits["seed"][1] == high
    with pytest.raises(InvalidRequest, match=f"from 0 to {high}"):
        fill(template, {"seed": high + 1}, facts=small)


def test_a_whole_graphs_input_gets_a_seed_within_its_own_limits() -> None:
    graph = default(n3={**sampler(), "class_type": "Small Sampler"})
    for name in ("seed", "3.seed"):
        drawn = [fill(of_caller(graph), {name: -1}, facts=small, rng=random.Random(n)).seed for n in range(40)]
        assert all(seed is not None and seed < 2**32 for seed in drawn)


def test_samplers_side_by_side_get_seeds_in_a_row_and_those_that_were_alike_stay_so() -> None:
    assert seeds(fill(of(PARALLEL), {"seed": 100}).graph) == {"3": 100, "11": 101, "12": 100, "13": 101}
    drawn = fill(of(PARALLEL), {})
    first = drawn.seed
    assert first is not None
    assert seeds(drawn.graph) == {"3": first, "11": first + 1, "12": first, "13": first + 1}


def test_seeds_in_a_row_go_on_at_the_lowest_after_the_highest() -> None:
    assert seeds(fill(of(PARALLEL), {"seed": 2**64 - 1}).graph)["11"] == 0


def test_a_seed_beside_that_is_given_by_its_node_is_left_alone() -> None:
    assert seeds(fill(of(PARALLEL), {"seed": 100, "13.seed": 5}).graph) == {"3": 100, "11": 101, "12": 100, "13": 5}


def test_the_seed_of_a_later_pass_that_was_set_apart_stays() -> None:
    graph = default(n11=sampler(seed=22, latent_image=["3", 0]))
    assert seeds(fill(of(graph), {"seed": 100}).graph) == {"3": 100, "11": 22}


def test_a_whole_graph_without_parameters_keeps_all_its_seeds_and_reports_the_first() -> None:
    filled = fill(of_caller(PARALLEL), {})
    assert seeds(filled.graph) == {"3": 7, "11": 22, "12": 7, "13": 22}
    assert filled.seed == 7
