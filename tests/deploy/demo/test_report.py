"""Waiting, and the numbers of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from deploy.demo.report import money, spread
from deploy.demo.send import Ledger
from deploy.demo.settle import QUIET_S, STALL_S, Settling
from sinks.clickhouse.client import Unreachable

EVENTS = {("shop", "1"), ("shop", "2"), ("line", "1")}


class Views:
    """ClickHouse as `Settling` sees it: a state after another, the last one for ever."""

    def __init__(self, *states: dict[str, int] | None) -> None:
        self.states = list(states)
        self.now: dict[str, int] = {}

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        if "AS in_profiles" not in sql:
            return [{k: v for k, v in self.now.items() if not k.startswith("in_")}]
        state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
        if state is None:
            raise Unreachable("not now")
        self.now = state
        return [{k: v for k, v in state.items() if k.startswith("in_")}]


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def views(touchpoints: int, *, profiles: int | None = None, members: int = 0) -> dict[str, int]:
    return {
        "touchpoints": touchpoints,
        "in_profiles": touchpoints if profiles is None else profiles,
        "in_engagement": touchpoints,
        "rejected": 1,
        "members": members,
    }


def settling(*snapshots: dict[str, int] | None) -> Settling:
    ledger = Ledger(accepted=set(EVENTS), refused=Counter({("shop", "invalid"): 1}))
    time = Time()
    return Settling(Views(*snapshots), ledger, clock=time.clock, sleep=time.sleep)  # type: ignore[arg-type]


def test_settled_means_all_is_visible_and_quiet_for_a_while() -> None:
    settled = settling(views(1), None, views(3, profiles=2), views(3), views(3, members=1)).wait()
    assert settled.complete
    assert settled.seconds >= 4 + QUIET_S


def test_it_waits_as_long_as_something_still_arrives() -> None:
    settled = settling(*(views(n // 30 % 2) for n in range(300)), views(3)).wait()
    assert settled.complete
    assert settled.seconds > 4 * STALL_S


def test_what_never_becomes_visible_ends_the_wait() -> None:
    settled = settling(views(3, profiles=2)).wait()
    assert not settled.complete
    assert STALL_S <= settled.seconds < STALL_S + 2


def test_spread_is_median_95th_percentile_and_greatest() -> None:
    assert spread([float(n) for n in range(1, 21)]) == (10.0, 19.0, 20.0)
    assert spread([3.0]) == (3.0, 3.0, 3.0)
    assert spread([]) == (0.0, 0.0, 0.0)


def test_money_has_thousands_and_cents() -> None:
    assert money("2500315.63") == "2,500,315.63"
    assert money(None) == "0.00"
