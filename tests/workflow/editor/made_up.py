"""Files that no editor saved."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from tests.properties.made_up import json_values, small
from tests.workflow.editor.judge import load

IDS = (1, 2, 3, 4, 5, "6", -10, -20, 2**70, 1.5)
SUBGRAPHS = ("aaaaaaaa-bbbb-4ccc-8ddd-000000000001", "aaaaaaaa-bbbb-4ccc-8ddd-000000000002")
TYPES = (
    *("EmptyImage", "ImageInvert", "SaveImage", "KSampler", "CLIPTextEncode", "LoadImage", "OwnSink", "OwnAny"),
    *("OwnDynamic", "OwnAutogrow", "OwnForceInput", "OwnComboControl", "OwnMulti", "OwnDefaults", "NoSuchNode"),
    *("Note", "Reroute", "PrimitiveNode", "SetNode", "GetNode", "Anything Everywhere", "workflow>Group", *SUBGRAPHS),
)
NAMES = ("image", "images", "width", "text", "seed", "kind", "kind.image", "images.image0", "x", "a", "b", "IMAGE")
KINDS = ("IMAGE", "INT", "STRING", "*", "", "LATENT,IMAGE", "COMBO", 0)

ids = st.sampled_from(IDS)
slots = st.integers(-1, 3)
link_ids = st.integers(1, 8)
anything = json_values(leaves=3)
inputs = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "type": st.sampled_from(KINDS), "link": st.none() | link_ids},
    optional={"widget": st.fixed_dictionaries({"name": st.sampled_from(NAMES)}) | anything, "label": anything},
)
outputs = st.fixed_dictionaries({"name": st.sampled_from(NAMES), "type": st.sampled_from(KINDS)})
pairs = st.lists(st.tuples(ids.map(str), st.sampled_from(NAMES)).map(list), max_size=3)
nodes = st.fixed_dictionaries(
    {"id": ids, "type": st.sampled_from(TYPES), "mode": st.sampled_from([0, 0, 0, 1, 2, 4, 4])},
    optional={
        "inputs": st.lists(inputs, max_size=4),
        "outputs": st.lists(outputs, max_size=2),
        "widgets_values": st.lists(small | anything, max_size=6) | anything,
        "properties": st.fixed_dictionaries({"proxyWidgets": pairs | anything}) | anything,
        "title": anything,
    },
)
links = st.tuples(link_ids, ids, slots, ids, slots, st.sampled_from(KINDS)).map(list)
boundaries = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "type": st.sampled_from(KINDS), "linkIds": st.lists(link_ids, max_size=2)}
)
graphs = {
    "nodes": st.lists(nodes | st.none(), min_size=1, max_size=6),
    "links": st.lists(links | st.none(), max_size=8),
}
subgraphs = st.fixed_dictionaries(
    {
        "id": st.sampled_from(SUBGRAPHS),
        "inputs": st.lists(boundaries, max_size=2),
        "outputs": st.lists(boundaries, max_size=2),
        **graphs,
    }
)
groups = st.fixed_dictionaries(
    {
        "nodes": st.lists(nodes, max_size=3),
        "links": st.lists(st.lists(st.integers(-1, 3) | st.none(), min_size=2, max_size=6) | anything, max_size=3),
        "external": st.lists(st.lists(slots, max_size=3) | anything, max_size=2),
        "config": anything,
    }
)
files = st.fixed_dictionaries(
    graphs,
    optional={
        "definitions": st.fixed_dictionaries({"subgraphs": st.lists(subgraphs, max_size=2) | anything}) | anything,
        "extra": st.fixed_dictionaries({"groupNodes": st.fixed_dictionaries({"Group": groups | anything})})
        | anything,
        "last_node_id": st.integers() | anything,
    },
)


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """A good file with something else in one to three of its places."""
    cases = load("cases")
    file = copy.deepcopy(cases[draw(st.sampled_from(sorted(cases)))]["workflow"])
    for _ in range(draw(st.integers(1, 3))):
        place: Any = file
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and place[key] and draw(st.integers(0, 4)):
                place = place[key]
                continue
            if draw(st.booleans()):
                place[key] = draw(ids | st.sampled_from(TYPES) | st.sampled_from(NAMES) | anything)
            else:
                del place[key]
            break
    return file
