"""Whatever happens, the next job is the one that a plain model of the rules names."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from comfybridge.jobs.choosing import Need, Place, Waiting

OWNERS = ("a", "b", "c", "")
PLAIN = Need((), (), None)
NEEDS = (PLAIN, Need(("X",), (), None), Need((), (("L", "name", "m"),), None))


@dataclass
class Model:
    """The rules, said plainly and slowly."""

    waiting: list[Place] = field(default_factory=list)
    running: dict[str, int] = field(default_factory=dict)
    served: dict[str, float] = field(default_factory=dict)

    def next(self, able: set[Need]) -> str | None:
        def is_open(place: Place) -> bool:
            most = place.need.most_running
            need = replace(place.need, most_running=None)
            return need in able and (most is None or self.running.get(place.owner, 0) < most)

        def rank(place: Place) -> tuple[object, ...]:
            owner = place.owner
            return -place.priority, self.running.get(owner, 0), self.served.get(owner, 0.0), owner, place.age

        return min((each for each in self.waiting if is_open(each)), key=rank).age[2] if self._any(is_open) else None

    def _any(self, is_open: object) -> bool:
        return any(is_open(each) for each in self.waiting)  # type: ignore[operator]


places = st.builds(
    lambda priority, owner, need, most: (priority, owner, replace(need, most_running=most)),
    st.integers(0, 2),
    st.sampled_from(OWNERS),
    st.sampled_from(NEEDS),
    st.sampled_from([None, None, 0, 1, 2]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), places),
        st.tuples(st.just("take"), st.sets(st.sampled_from(NEEDS), min_size=1)),
        st.tuples(st.just("stop"), st.integers(0, 5)),
        st.tuples(st.just("return"), st.integers(0, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_the_next_job_is_the_one_that_the_rules_name(steps: list[tuple[str, object]]) -> None:
    waiting, model = Waiting(), Model()
    running: list[Place] = []
    numbers = itertools.count(1)
    for what, given_ in steps:
        if what == "add":
            priority, owner, need = given_  # type: ignore[misc]
            number = next(numbers)
            place = Place(priority, owner, need, (float(number), number, str(number)))  # type: ignore[has-type]
            waiting.add(place)
            model.waiting.append(place)
        elif what == "take":
            able: set[Need] = given_  # type: ignore[assignment]
            found = next(waiting.order(lambda need: replace(need, most_running=None) in able), None)  # noqa: B023
            assert found == model.next(able)
            if found is not None:
                place = next(each for each in model.waiting if each.age[2] == found)
                at = float(next(numbers))
                waiting.discard(place)
                waiting.began(place.owner, at)
                model.waiting.remove(place)
                model.running[place.owner] = model.running.get(place.owner, 0) + 1
                model.served[place.owner] = at
                running.append(place)
        elif what in ("stop", "return") and running:
            place = running.pop(given_ % len(running))  # type: ignore[operator]
            waiting.stopped(place.owner)
            model.running[place.owner] -= 1
            if what == "return":
                waiting.add(place)
                model.waiting.append(place)
        elif what == "cancel" and model.waiting:
            place = model.waiting.pop(given_ % len(model.waiting))  # type: ignore[operator]
            waiting.discard(place)
        assert sorted(waiting.order()) == sorted(each.age[2] for each in model.waiting)
        assert {owner: waiting.count(owner) for owner in OWNERS} == {
            owner: sum(each.owner == owner for each in model.waiting) for owner in OWNERS
        }
