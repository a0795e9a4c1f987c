"""Which webhook is tried next."""

from __future__ import annotations

from comfybridge.jobs.hooks import AT_ONCE, AT_ONCE_TO_LAME, TO_ONE_HOST, TO_ONE_LAME_HOST, Hook, Hooks
from comfybridge.jobs.tries import not_tried


def hooks_of(**hosts: int) -> Hooks:
    """Webhooks that are due at 0, so many for each host, in that order."""
    hooks = Hooks()
    for host, count in hosts.items():
        for number in range(count):
            hooks.add(Hook(f"{host}-{number}", host, 0.0, not_tried(0.0)))
    return hooks


def taken(hooks: Hooks, now: float = 0.0) -> list[Hook]:
    found = []
    while hook := hooks.take(now):
        found.append(hook)
    return found


def test_nothing_is_taken_before_it_is_due() -> None:
    hooks = Hooks()
    assert hooks.next_due() is None
    hooks.add(Hook("a", "x", 5.0, not_tried(0.0)))
    assert hooks.take(4.9) is None
    assert hooks.next_due() == 5.0
    hook = hooks.take(5.0)
    assert hook is not None
    assert hooks.take(5.0) is None


def test_one_that_is_put_off_waits() -> None:
    hooks = hooks_of(x=1)
    [hook] = taken(hooks)
    hook.due = 7.0
    hooks.give_back(hook, is_lame=False)
    assert taken(hooks, 6.9) == []
    assert taken(hooks, 7.0) == [hook]


def test_an_earlier_time_counts() -> None:
    hooks = Hooks()
    hook = Hook("a", "x", 60.0, not_tried(0.0))
    hooks.add(hook)
    hooks.set_due(hook, 5.0)
    assert taken(hooks, 5.0) == [hook]


def test_a_later_time_counts_although_it_was_due() -> None:
    hooks = hooks_of(x=TO_ONE_HOST + 1)
    first = taken(hooks)
    last = hooks.get(f"x-{TO_ONE_HOST}")
    assert last is not None
    hooks.set_due(last, 9.0)  # another bridge tries it
    hooks.end(first[0].id)
    hooks.give_back(first[0], is_lame=None)
    assert last not in taken(hooks, 8.0)
    assert last in taken(hooks, 9.0)


def test_one_that_is_over_is_not_taken() -> None:
    hooks = hooks_of(x=2)
    hooks.end("x-0")
    assert [each.id for each in taken(hooks)] == ["x-1"]
    assert len(hooks) == 1


def test_one_that_ends_under_way_does_not_come_again() -> None:
    hooks = hooks_of(x=1)
    [hook] = taken(hooks)
    hooks.end("x-0")
    hooks.give_back(hook, is_lame=False)
    assert taken(hooks, 1e9) == []
    assert len(hooks) == 0


def test_a_thousand_for_one_host_leave_room_for_another() -> None:
    hooks = hooks_of(dead=1000, living=3)
    assert [each.host for each in taken(hooks)].count("dead") == TO_ONE_HOST
    # the next to begin, whoever ends first
    hooks = hooks_of(dead=1000, living=3)
    hosts = [each.host for each in taken(hooks)]
    assert hosts.count("living") == 3


def test_hosts_take_turns() -> None:
    hooks = hooks_of(**{f"h{number}": 10 for number in range(20)})
    first = taken(hooks)
    assert len(first) == AT_ONCE
    assert len({each.host for each in first[:20]}) == 20


def test_lame_hosts_share_a_part_of_the_places() -> None:
    names = [f"dead{number}" for number in range(20)]
    hooks = hooks_of(**dict.fromkeys(names, 10))
    seen: set[str] = set()
    while len(seen) < len(names):
        for hook in taken(hooks):
            seen.add(hook.host)
            hook.due = 1e9
            hooks.give_back(hook, is_lame=True)
    for number in range(5):
        hooks.add(Hook(f"new-{number}", "living", 5.0, not_tried(0.0)))
    hosts = [each.host for each in taken(hooks, 5.0)]
    assert len(hosts) == AT_ONCE_TO_LAME + TO_ONE_HOST
    assert hosts.count("living") == TO_ONE_HOST
    assert all(hosts.count(name) <= TO_ONE_LAME_HOST for name in names)


def test_a_host_that_answers_again_gets_its_places_back() -> None:
    hooks = hooks_of(x=20)
    for hook in taken(hooks):
        hook.due = 1e9
        hooks.give_back(hook, is_lame=True)
    second = taken(hooks)
    assert len(second) == TO_ONE_LAME_HOST
    hooks.end(second[0].id)
    hooks.give_back(second[0], is_lame=False)
    assert len(taken(hooks)) == TO_ONE_HOST - 1


def test_all_can_be_forgotten() -> None:
    hooks = hooks_of(x=5)
    first = taken(hooks)
    hooks.clear()
    for hook in first:
        hooks.give_back(hook, is_lame=True)
    assert taken(hooks, 1e9) == []
    hooks.add(Hook("x-0", "x", 0.0, not_tried(0.0)))
    assert len(taken(hooks)) == 1
