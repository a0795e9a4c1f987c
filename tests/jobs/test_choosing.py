"""Which job goes next: turns between owners, positions, and what it costs."""

from __future__ import annotations

import itertools
import time

from comfybridge.jobs.choosing import Need, Place, Waiting

PLAIN = Need((), (), None)


def filled(jobs: int, owners: int, needs: int = 1) -> Waiting:
    waiting = Waiting()
    for number in range(jobs):
        need = Need((f"Class{number % needs}",), (), None)
        waiting.add(Place(1, f"owner{number % owners}", need, (float(number), number, str(number))))
    return waiting


def taken(waiting: Waiting, count: int, place_of: dict[str, Place]) -> list[str]:
    """The owners of the next jobs, each of which keeps running."""
    owners = []
    for at in range(count):
        place = place_of[next(waiting.order())]
        waiting.discard(place)
        waiting.began(place.owner, float(at + 1))
        owners.append(place.owner)
    return owners


def test_200_waiting_jobs_of_one_owner_hold_up_another_by_no_more_than_what_runs() -> None:
    waiting, places = Waiting(), {}
    for number in range(200):
        place = Place(1, "many", PLAIN, (float(number), number, f"many{number}"))
        places[place.age[2]] = place
        waiting.add(place)
    assert set(taken(waiting, 4, places)) == {"many"}  # all four agents are busy with it
    for number in range(3):
        place = Place(1, "few", PLAIN, (1000.0 + number, 1000 + number, f"few{number}"))
        places[place.age[2]] = place
        waiting.add(place)
    waiting.stopped("many")
    assert taken(waiting, 1, places) == ["few"]
    waiting.stopped("many")
    assert taken(waiting, 1, places) == ["few"]
    waiting.stopped("many")
    assert taken(waiting, 1, places) == ["many"]  # each of both has two then
    assert list(itertools.islice(waiting.order(), 3)) == ["few2", "many5", "many6"]


def test_positions_are_the_order_in_which_jobs_go_when_owners_take_turns() -> None:
    waiting = Waiting()
    for number, owner in enumerate(["a", "a", "a", "b", "b", "c"]):
        waiting.add(Place(1, owner, PLAIN, (float(number), number, f"{owner}{number}")))
    waiting.add(Place(2, "c", PLAIN, (99.0, 99, "urgent")))
    waiting.add(Place(0, "c", PLAIN, (0.0, 0, "lazy")))
    assert list(waiting.order()) == ["urgent", "a0", "b3", "c5", "a1", "b4", "a2", "lazy"]


def test_the_next_of_10_000_jobs_is_found_without_looking_at_all_of_them() -> None:
    """No figure, which would be the machine's: 10,000 jobs in a few lines must not cost 100 times what 100 do."""

    def seconds(waiting: Waiting) -> float:
        fastest = 1.0
        for _ in range(20):
            start = time.perf_counter()
            next(waiting.order(lambda need: need.classes == ("Class1",)))
            fastest = min(fastest, time.perf_counter() - start)
        return fastest

    assert seconds(filled(10_000, owners=5, needs=3)) < 10 * seconds(filled(100, owners=5, needs=3))
