"""Profiles: the merge of trails, and segments entered and left by events, time and identity."""

from __future__ import annotations

import math
import random
from decimal import Decimal

import msgspec
import pytest

from processors.profiles.stage import ProfilesStage
from processors.segments import required_features
from processors.stage import Decision, Record, Tick
from schemas import messages, topics
from schemas.identifiers import IdentityPolicy
from schemas.messages import TrailUpdate, Watermark
from schemas.times import DAY_MS, HOUR_MS, parse_ms, rfc3339
from tests.support.homes import Home
from tests.support.people import own
from tests.support.pipeline import MemoryStore, Pipeline
from tests.support.segments import changes, definitions
from tests.support.touches import MAY, order, touch

HANAKO = ("customer_id", "hanako")
MAIL = ("email", "h@x.jp")
LINE = ("line", "U1")
DEFINITIONS = {
    "active_30d": "last_touch: {direction: inbound, within: 30d}",
    "buyers": "count: {type: order_completed, at_least: 2}",
    "mailable": "identifier: {kind: email, exists: true}",
}


@pytest.fixture
def segments(tmp_path):
    return definitions(tmp_path / "segments", **DEFINITIONS)


@pytest.fixture
def pipeline(segments) -> Pipeline:
    return started(segments)


def started(segments) -> Pipeline:
    pipeline = Pipeline(segments=segments)
    pipeline.now_ms = MAY
    return pipeline


def only(pipeline: Pipeline) -> dict:
    (row,) = pipeline.profiles().values()
    return row


# One person


def test_a_profile_s_row_says_all_that_its_trails_brought(pipeline):
    pipeline.touch(
        touch("e1", HANAKO, MAIL, traits={"first_name": "花子", "last_name": "山田", "age": 30})
    )
    pipeline.touch(
        order("e2", MAIL, amount="29.33", consent={"marketing": True},
              occurred_at="2026-04-30T12:00:00Z")
    )  # fmt: skip
    pipeline.run()
    row = only(pipeline)
    assert row == {
        "epoch": 1, "profile_id": own(HANAKO), "customer_id": "hanako", "email": "h@x.jp",
        "phone": "", "display_name": "花子 山田",
        "traits": {"age": "30", "first_name": "花子", "last_name": "山田"},
        "first_seen_at": "2026-04-30T12:00:00.000Z", "last_seen_at": "2026-05-01T00:00:00.000Z",
        "touchpoints": 2, "channels": {"web": 1, "commerce": 1}, "orders": 1,
        "revenue": {"JPY": "29.33"}, "engagement_points": row["engagement_points"],
        "segments": ["active_30d", "mailable"], "consent": {"marketing": True},
        "updated_at": rfc3339(MAY), "received_at": rfc3339(MAY), "version": row["version"],
    }  # fmt: skip


def test_refunds_are_no_revenue_and_currencies_are_kept_apart(pipeline):
    pipeline.touch(order("e1", HANAKO, amount="10"))
    pipeline.touch(order("e2", HANAKO, amount="5", value={"amount": "5", "currency": "USD"}))
    pipeline.touch(order("e3", HANAKO, amount="-10", type="order_refunded"))
    pipeline.run()
    assert only(pipeline)["revenue"] == {"JPY": "10", "USD": "5"}
    assert only(pipeline)["orders"] == 2


def test_of_several_emails_the_one_seen_last_is_shown(pipeline):
    pipeline.touch(touch("e1", HANAKO, ("email", "new@x.jp")))
    pipeline.touch(touch("e2", HANAKO, ("email", "old@x.jp"), occurred_at="2026-04-01T00:00:00Z"))
    pipeline.run()
    assert only(pipeline)["email"] == "new@x.jp"
    pipeline.touch(touch("e3", ("email", "old@x.jp"), occurred_at="2026-05-01T00:00:01Z"))
    pipeline.run()
    assert only(pipeline)["email"] == "old@x.jp"


def test_of_two_emails_seen_at_once_the_greater_is_shown(pipeline):
    pipeline.touch(touch("e1", HANAKO, ("email", "b@x.jp"), ("email", "a@x.jp")))
    pipeline.run()
    assert only(pipeline)["email"] == "b@x.jp"


def test_the_score_fades_by_half_in_thirty_days(pipeline):
    pipeline.touch(touch("e1", MAIL, occurred_at="2026-04-01T00:00:00Z"))
    pipeline.run()
    assert only(pipeline)["engagement_points"] == 1
    pipeline.touch(touch("e2", MAIL))
    pipeline.run()
    assert only(pipeline)["engagement_points"] == pytest.approx(1.5)


def test_what_the_company_sends_earns_no_points(pipeline):
    pipeline.touch(touch("e1", MAIL, channel="email", type="email_delivered", direction="outbound"))
    pipeline.run()
    assert only(pipeline)["engagement_points"] == 0
    assert only(pipeline)["segments"] == ["mailable"]


# Two people become one


def test_two_people_who_turn_out_to_be_one_add_up_exactly(pipeline):
    amounts = ["0.1", "0.2", "999999999.999999", "12.345678"]
    for number, amount in enumerate(amounts):
        pipeline.touch(order(f"e{number}", (MAIL, LINE)[number % 2], amount=amount))
    pipeline.touch(touch("l1", LINE, traits={"city": "Kyoto"}))
    pipeline.touch(touch("m1", MAIL, traits={"city": "Tokyo"}, occurred_at="2026-04-30T00:00:00Z"))
    pipeline.run()
    apart = list(pipeline.profiles().values())
    assert len(apart) == 2
    pipeline.touch(touch("bridge", MAIL, LINE))
    pipeline.run()
    row = only(pipeline)
    assert row["profile_id"] == own(MAIL)
    assert row["touchpoints"] == sum(r["touchpoints"] for r in apart) + 1 == 7
    assert row["orders"] == 4
    assert Decimal(row["revenue"]["JPY"]) == sum(map(Decimal, amounts))
    assert row["traits"] == {"city": "Kyoto"}
    assert row["channels"] == {"commerce": 4, "web": 3}


def test_a_profile_merged_away_leaves_its_segments_by_identity_and_disappears(pipeline):
    pipeline.touch(order("e1", LINE, amount="1"))
    pipeline.touch(order("e2", LINE, amount="1"))
    pipeline.run()
    assert changes(pipeline, "buyers", LINE) == [("entered", "event")]
    pipeline.touch(touch("bridge", MAIL, LINE))
    pipeline.run()
    assert changes(pipeline, "buyers", LINE) == [("entered", "event"), ("exited", "identity")]
    assert changes(pipeline, "active_30d", LINE)[-1] == ("exited", "identity")
    assert changes(pipeline, "buyers", MAIL) == [("entered", "identity")]
    gone = pipeline.rows(topics.PROFILES.name, "profile_id")[own(LINE),]
    assert (gone["touchpoints"], gone["segments"], gone["revenue"]) == (0, [], {})
    assert set(pipeline.profiles()) == {own(MAIL)}


def test_a_shared_device_takes_its_touches_away_and_brings_them_back(pipeline):
    tablet = ("device_id", "tablet")
    pipeline.touch(touch("t1", tablet))
    pipeline.touch(touch("m1", MAIL, tablet))
    pipeline.run()
    assert only(pipeline)["touchpoints"] == 2
    pipeline.touch(touch("l1", LINE, tablet))
    pipeline.run()
    counts = {key: row["touchpoints"] for key, row in pipeline.profiles().items()}
    assert counts == {own(MAIL): 1, own(LINE): 1, own(tablet): 1}
    pipeline.touch(touch("bridge", MAIL, LINE))
    pipeline.run()
    assert {key: row["touchpoints"] for key, row in pipeline.profiles().items()} == {own(MAIL): 4}


# Time


def test_who_stays_away_for_thirty_days_leaves_active_30d_by_itself_once(pipeline):
    pipeline.touch(touch("e1", MAIL))
    pipeline.run()
    pipeline.sleep(30 * DAY_MS - HOUR_MS)
    assert changes(pipeline, "active_30d", MAIL) == [("entered", "event")]
    pipeline.sleep(2 * HOUR_MS)
    assert changes(pipeline, "active_30d", MAIL) == [("entered", "event"), ("exited", "time")]
    assert only(pipeline)["segments"] == ["mailable"]
    pipeline.sleep(90 * DAY_MS)
    assert len(changes(pipeline, "active_30d", MAIL)) == 2
    pipeline.touch(touch("e2", MAIL, occurred_at=rfc3339(pipeline.now_ms)))
    pipeline.run()
    assert changes(pipeline, "active_30d", MAIL)[-1] == ("entered", "event")


def test_a_touch_in_between_puts_the_exit_off(pipeline):
    pipeline.touch(touch("e1", MAIL))
    pipeline.run()
    pipeline.sleep(20 * DAY_MS)
    pipeline.touch(touch("e2", MAIL, occurred_at=rfc3339(pipeline.now_ms)))
    pipeline.run()
    pipeline.sleep(29 * DAY_MS)
    assert len(changes(pipeline, "active_30d", MAIL)) == 1
    pipeline.sleep(2 * DAY_MS)
    assert changes(pipeline, "active_30d", MAIL)[-1] == ("exited", "time")


@pytest.mark.parametrize("seed", range(5))
def test_crashes_while_time_passes_lose_and_repeat_no_exit(segments, seed):
    pipeline = started(segments)
    pipeline.rng = random.Random(seed)
    for number in range(5):
        pipeline.touch(touch(f"e{number}", ("email", f"h{number}@x.jp")))
    pipeline.run()
    pipeline.crashes = 0.5
    pipeline.sleep(31 * DAY_MS)
    pipeline.crashes = 0.0
    pipeline.sleep(1000)
    for number in range(5):
        assert changes(pipeline, "active_30d", ("email", f"h{number}@x.jp")) == [
            ("entered", "event"), ("exited", "time"),
        ]  # fmt: skip


class Partition:
    """The stage over one partition, fed by hand, with two homes that send watermarks."""

    def __init__(self, segments) -> None:
        self.stage = ProfilesStage.of(1, 2, segments, IdentityPolicy())
        self.store = MemoryStore(self.stage)
        self.offset = 0

    def record(self, key: str, message: TrailUpdate | Watermark, at_ms: int = MAY) -> Record:
        self.offset += 1
        value = messages.encode(message)
        return Record(topics.TRAILS.name, 0, self.offset, at_ms, key.encode(), value)

    def take(self, *records: Record) -> Decision:
        decision = self.stage.decide(records, self.store)
        self.store.apply(decision)
        return decision

    def clock(self, first: int, second: int) -> None:
        self.take(*(self.record("w", Watermark(n, at)) for n, at in enumerate((first, second))))

    def decide_tick(self) -> Decision:
        return self.stage.tick(Tick(0, 0, 0), self.store)

    def tick(self) -> list[tuple[str, str, str, str]]:
        """A tick carried out; the segment changes that it published."""
        decision = self.decide_tick()
        self.store.apply(decision)
        self.published(decision)
        return moves(decision)

    def published(self, decision: Decision) -> None:
        for entry in decision.fired:
            self.store.index.pop(entry, None)

    def restart(self, segments=None, *, elsewhere: bool = False) -> None:
        """The process starts anew, `elsewhere` with nothing but the changelog."""
        if segments is not None:
            self.stage = ProfilesStage.of(1, 2, segments, IdentityPolicy())
            self.store.stage = self.stage
        self.store.forget()
        if elsewhere:
            recovered = MemoryStore(self.stage)
            recovered.apply(Decision(rows=dict(self.store.rows)))
            self.store = recovered


def moves(decision: Decision) -> list[tuple[str, str, str, str]]:
    """(segment, change, cause, changed_at), sorted."""
    rows = [
        msgspec.json.decode(out.value)
        for out in decision.outputs
        if out.topic == topics.SEGMENT_CHANGES.name
    ]
    return sorted((r["segment"], r["change"], r["cause"], r["changed_at"]) for r in rows)


def home_for(segments) -> Home:
    return Home(required_features(segments))


def update(home: Home, *touches) -> TrailUpdate:
    (found,) = home.touch(*touches).updates().values()
    return found


EXIT = MAY + 30 * DAY_MS + HOUR_MS


@pytest.fixture
def partition(segments) -> Partition:
    """With a profile that is in active_30d and mailable."""
    partition = Partition(segments)
    partition.clock(MAY, MAY)
    partition.take(partition.record(own(MAIL), update(home_for(segments), touch("e1", MAIL))))
    assert partition.tick() == []
    return partition


def active(published) -> list[str]:
    return [change for segment, change, *_ in published if segment == "active_30d"]


def test_nothing_expires_while_a_home_s_watermark_is_behind(partition):
    partition.clock(EXIT, MAY)
    assert partition.tick() == []
    partition.clock(EXIT, EXIT)
    assert ("active_30d", "exited", "time", rfc3339(EXIT)) in partition.tick()


def test_after_a_start_nothing_expires_until_every_home_has_said_how_far_it_is(partition):
    partition.restart()
    partition.take(partition.record("w", Watermark(0, EXIT)))
    assert partition.tick() == []


def test_an_exit_by_time_that_was_decided_but_not_published_is_published_after_a_crash(partition):
    partition.clock(EXIT, EXIT)
    partition.store.apply(partition.decide_tick())
    partition.restart()
    partition.clock(EXIT + 1000, EXIT + 1000)
    assert active(partition.tick()) == ["exited"]


def test_an_exit_that_was_logged_by_another_process_but_not_published_is_published(partition):
    partition.clock(EXIT, EXIT)
    partition.store.apply(partition.decide_tick())
    partition.restart(elsewhere=True)
    partition.clock(EXIT + 1000, EXIT + 1000)
    assert active(partition.tick()) == ["exited"]


def test_a_touch_that_comes_first_does_not_hide_an_exit_that_was_not_published(partition, segments):
    partition.clock(EXIT, EXIT)
    partition.store.apply(partition.decide_tick())
    partition.restart(elsewhere=True)
    home = home_for(segments)
    home.records(touch("e1", MAIL))
    late = update(home, touch("e2", MAIL), touch("e3", MAIL))
    assert active(moves(partition.take(partition.record(own(MAIL), late, EXIT)))) == ["exited"]


def test_after_an_exit_was_published_the_row_rests(partition):
    partition.clock(EXIT, EXIT)
    partition.tick()
    for second in range(1, 4):
        partition.clock(EXIT + 1000 * second, EXIT + 1000 * second)
        partition.tick()
    assert partition.decide_tick() == Decision()
    assert partition.store.index == {}


def test_a_changed_definition_moves_everyone_with_the_cause_definition(partition, tmp_path):
    changed = definitions(
        tmp_path / "changed",
        mailable="identifier: {kind: phone, exists: true}",
        viewers="count: {type: page_viewed, at_least: 1}",
    )
    partition.restart(changed)
    partition.clock(MAY + 1000, MAY + 1000)
    now = rfc3339(MAY + 1000)
    assert partition.tick() == [
        ("active_30d", "exited", "definition", now),
        ("mailable", "exited", "definition", now),
        ("viewers", "entered", "definition", now),
    ]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_changes_by_definition_that_were_not_published_are_after_a_crash(
    partition, tmp_path, elsewhere
):
    changed = definitions(tmp_path / "changed", viewers="count: {type: page_viewed, at_least: 1}")
    partition.restart(changed)
    partition.clock(MAY + 1000, MAY + 1000)
    partition.store.apply(partition.decide_tick())
    partition.restart(elsewhere=elsewhere)
    partition.clock(MAY + 2000, MAY + 2000)
    assert ("viewers", "entered", "definition", rfc3339(MAY + 1000)) in partition.tick()


def test_of_an_identifier_s_trails_the_newest_version_wins_in_any_order(segments):
    home = home_for(segments)
    updates = [update(home, touch(f"e{n}", MAIL)) for n in range(3)]
    profile = own(MAIL).encode()
    moved = TrailUpdate(own(MAIL), *MAIL, 7, 3, None, MAY)
    for one in (updates, [*updates, moved]):
        answers = set()
        for seed in range(6):
            shuffled = [*one, *one]
            random.Random(seed).shuffle(shuffled)
            partition = Partition(segments)
            for message in shuffled:
                partition.take(partition.record(own(MAIL), message))
            old = Record(topics.TRAILS.name, 0, 0, MAY, profile, messages.encode(one[-1]))
            again = partition.stage.decide([old], partition.store)
            assert again.rows == {}
            row = msgspec.json.decode(again.outputs[-1].value)
            answers.add((row["touchpoints"], tuple(row["segments"]), row["last_seen_at"]))
        assert len(answers) == 1
    assert answers == {(0, (), rfc3339(0))}


def test_a_replayed_trail_publishes_the_row_and_its_last_changes_again(segments):
    partition = Partition(segments)
    record = partition.record(own(MAIL), update(home_for(segments), touch("e1", MAIL)))
    first = partition.take(record)
    again = partition.take(record)
    assert again.rows == {}
    assert again.outputs == first.outputs


def test_points_of_the_row_are_as_of_its_last_touch_and_fade_in_the_view(pipeline):
    pipeline.touch(order("e1", MAIL, amount="1"))
    pipeline.run()
    before = only(pipeline)["engagement_points"]
    pipeline.sleep(60 * DAY_MS)
    assert only(pipeline)["engagement_points"] == before == 10
    faded = before * math.exp2(-60 / 30)
    assert round(100 * (1 - math.exp(-faded / 20)), 1) == 11.8


def test_a_change_is_stamped_with_the_clock_at_which_it_was_decided(pipeline):
    pipeline.touch(touch("e1", MAIL))
    pipeline.run()
    found = pipeline.rows(topics.SEGMENT_CHANGES.name, "segment", "profile_id")
    assert parse_ms(found["active_30d", own(MAIL)]["changed_at"]) == MAY
