"""The home of an identifier: every touch adds up exactly once, whatever is delivered again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from processors.stage import Tick
from processors.trails.builder import MOST_NAMED
from schemas import features, messages, topics
from schemas.identifiers import identifier_id
from schemas.trail import FeatureKey, feature_name
from tests.support.homes import Home
from tests.support.touches import MAY, order, touch

HANAKO = ("customer_id", "hanako")
TARO = ("customer_id", "taro")
MAIL = ("email", "h@x.jp")
VIEWS = feature_name(FeatureKey("web", "page_viewed"))
YEN = feature_name(FeatureKey("commerce", "order_completed", "JPY"))


@pytest.fixture
def home() -> Home:
    return Home()


def own(one: tuple[str, str]) -> str:
    return identifier_id(*one)


def views(published) -> int:
    return features.totals(published.trail().features[VIEWS]).touches


# Redelivery


def test_a_redelivery_in_the_same_batch_counts_once(home):
    published = home.touch(touch("e1", MAIL), touch("e1", MAIL))
    assert views(published) == 1
    assert published.decision.counts["redelivered"] == 1
    assert len(published.rows(topics.DEDUPLICATED.name)) == 1


def test_a_redelivery_in_a_later_batch_is_dropped_with_all_its_fields(home):
    home.touch(touch("e1", MAIL, traits={"city": "Tokyo"}))
    again = home.touch(
        touch("e1", MAIL, traits={"city": "Kyoto"}, occurred_at="2026-05-01T00:00:30Z")
    )
    assert again.decision.outputs == []
    assert again.decision.rows == {}
    assert again.decision.seen == {}


def test_the_same_event_id_of_another_source_or_of_another_lead_is_another_event(home):
    home.touch(touch("e1", MAIL))
    assert views(home.touch(touch("e1", MAIL), source="other")) == 2
    assert views(home.touch(touch("e1", HANAKO))) == 1


@pytest.mark.parametrize("crash", ["decide", "publish"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_after_a_crash_the_batch_comes_again_in_any_size_and_nothing_is_counted_twice(crash, size):
    home, unbroken = Home(), Home()
    touches = [
        touch("e1", MAIL, duration_s=1.0),
        touch("e1", MAIL, duration_s=9.0),
        order("e2", MAIL, amount="10.10"),
    ]
    expected = unbroken.touch(*touches)
    records = home.records(*touches)
    # Logged and applied, or not even logged; published in no case.
    (home.decide if crash == "decide" else home.take)(*records)
    published = None
    for at in range(0, 3, size):
        published = home.take(*records[at : at + size])
    assert home.store.rows == unbroken.store.rows
    assert home.store.seen == unbroken.store.seen
    if size == 3:
        assert published.decision.outputs == expected.decision.outputs


def test_a_replay_publishes_present_values_again_but_changes_no_row(home):
    records = home.records(touch("e1", MAIL, HANAKO), touch("e2", MAIL))
    home.take(*records)
    home.store.forget()
    again = home.take(records[0])
    assert again.decision.rows == {}
    assert {out.topic for out in again.decision.outputs} == {
        topics.TRAILS.name, topics.DEDUPLICATED.name, topics.ENGAGEMENT.name,
        topics.IDENTITIES.name, topics.LINK_REQUESTS.name,
    }  # fmt: skip


def test_a_replay_after_a_later_assignment_goes_to_the_present_profile(home):
    records = home.records(touch("e1", MAIL))
    home.take(*records)
    home.take(home.answer(*MAIL, HANAKO, 5))
    assert list(home.take(*records).updates()) == [(own(HANAKO), "h@x.jp")]


# Assignments


def test_an_identifier_without_an_assignment_belongs_to_its_own_profile(home):
    published = home.touch(touch("e1", MAIL))
    assert list(published.updates()) == [(own(MAIL), "h@x.jp")]
    (row,) = published.rows(topics.IDENTITIES.name)
    assert (row["profile_id"], row["version"]) == (own(MAIL), 0)


def test_only_the_first_touch_of_an_identifier_writes_its_identity(home):
    home.touch(touch("e1", MAIL))
    assert home.touch(touch("e2", MAIL)).rows(topics.IDENTITIES.name) == []


def test_an_assignment_moves_the_trail_and_says_moved_to_every_profile_it_left(home):
    home.touch(touch("e1", MAIL))
    home.take(home.answer(*MAIL, HANAKO, 5))
    updates = home.take(home.answer(*MAIL, TARO, 9)).updates()
    assert {profile: bool(update.trail) for (profile, _), update in updates.items()} == {
        own(TARO): True, own(HANAKO): False, own(MAIL): False,
    }  # fmt: skip
    assert [u.trail for u in updates.values()].count(None) == 2
    assert {update.version for update in updates.values()} == {9}


def test_a_trail_that_comes_back_has_not_left(home):
    home.touch(touch("e1", MAIL))
    home.take(home.answer(*MAIL, HANAKO, 5))
    updates = home.take(home.answer(*MAIL, MAIL, 9)).updates()
    assert updates[own(MAIL), "h@x.jp"].trail
    assert updates[own(HANAKO), "h@x.jp"].trail is None


@pytest.mark.parametrize("version", [4, 5])
def test_an_assignment_that_is_not_newer_changes_nothing(home, version):
    home.touch(touch("e1", MAIL))
    home.take(home.answer(*MAIL, HANAKO, 5))
    late = home.take(home.answer(*MAIL, TARO, version))
    assert late.decision.rows == {}
    assert late.decision.outputs == []
    assert list(home.touch(touch("e2", MAIL)).updates()) == [(own(HANAKO), "h@x.jp")]


def test_an_older_assignment_in_the_same_batch_changes_nothing(home):
    home.touch(touch("e1", MAIL))
    published = home.take(home.answer(*MAIL, HANAKO, 5), home.answer(*MAIL, TARO, 3))
    assert {profile for (profile, _) in published.updates()} == {own(HANAKO), own(MAIL)}


def test_an_assignment_replayed_after_a_later_one_says_the_later_one(home):
    home.touch(touch("e1", MAIL))
    first = home.answer(*MAIL, HANAKO, 5)
    home.take(first)
    home.take(home.answer(*MAIL, TARO, 9))
    again = home.take(first)
    assert again.decision.rows == {}
    assert again.updates()[own(TARO), "h@x.jp"].trail
    assert again.updates()[own(HANAKO), "h@x.jp"].trail is None


def test_assignments_after_a_crash_are_published_again(home):
    home.touch(touch("e1", MAIL))
    answer = home.answer(*MAIL, HANAKO, 5)
    lost = home.take(answer)
    assert home.take(answer).decision.outputs == lost.decision.outputs


def test_an_identifier_that_led_nothing_is_part_of_its_person_but_makes_no_profile_alone(home):
    assert home.take(home.answer(*MAIL, MAIL, 0)).updates() == {}
    updates = home.take(home.answer(*MAIL, HANAKO, 5)).updates()
    assert updates[own(HANAKO), "h@x.jp"].trail == b""


def test_a_link_is_asked_for_once_and_after_a_restart_until_its_verdict_is_there(home):
    assert home.touch(touch("e1", HANAKO, MAIL)).links() == [("hanako", "h@x.jp")]
    assert home.touch(touch("e2", HANAKO, MAIL)).links() == []
    home.store.forget()
    assert home.touch(touch("e2b", HANAKO, MAIL)).links() == [("hanako", "h@x.jp")]
    verdict = messages.Assignment(
        own(HANAKO), *HANAKO, own(HANAKO), 0, MAY, {own(MAIL): messages.Verdict(False, 0)}
    )
    home.take(home.append(topics.ASSIGNMENTS.name, b"", messages.encode(verdict)))
    assert home.touch(touch("e3", HANAKO, MAIL)).links() == []


def test_links_of_a_touch_are_asked_for_once_and_the_strongest_first(home):
    several = [("anonymous_id", "b"), ("device_id", "d"), MAIL, HANAKO]
    published = home.touch(touch("e1", *several), touch("e2", *several))
    assert published.links() == [("hanako", "h@x.jp"), ("hanako", "d"), ("hanako", "b")]


# What a trail keeps


def test_the_last_touch_to_have_occurred_decides_a_trait_and_null_unsets(home):
    home.touch(touch("e1", MAIL, traits={"city": "Tokyo", "plan": "gold", "age": 30}))
    home.touch(touch("e2", MAIL, traits={"city": None}, occurred_at="2026-05-01T00:00:10Z"))
    late = home.touch(
        touch(
            "e3", MAIL, traits={"city": "Osaka", "plan": "none"}, occurred_at="2026-04-01T00:00:00Z"
        )
    )
    values = {name: stamped.value for name, stamped in late.trail().traits.items()}
    assert values == {"city": None, "plan": "gold", "age": "30"}


def test_traits_of_one_moment_are_decided_by_source_then_event_id(home):
    home.touch(touch("e2", MAIL, traits={"a": "2", "b": "2"}), source="m")
    home.touch(touch("e1", MAIL, traits={"a": "1"}), source="m")
    last = home.touch(touch("e0", MAIL, traits={"b": "0"}), source="n")
    assert {name: one.value for name, one in last.trail().traits.items()} == {"a": "2", "b": "0"}


def test_consent_goes_by_the_time_of_the_decision(home):
    home.touch(touch("e1", MAIL, consent={"marketing": False}, occurred_at="2026-05-01T00:00:20Z"))
    last = home.touch(touch("e2", MAIL, consent={"marketing": True}))
    assert last.trail().consent["marketing"].value is False


def test_first_and_last_times_go_by_occurrence(home):
    home.touch(touch("e1", MAIL))
    last = home.touch(touch("e2", MAIL, occurred_at="2026-04-30T00:00:00Z")).trail()
    assert (last.first_ms, last.last_ms) == (MAY - 86_400_000, MAY)
    assert last.received_ms == MAY + 60_000


def test_only_the_emails_and_phones_named_last_are_remembered(home):
    mails = [("email", f"m{number:03}@x.jp") for number in range(MOST_NAMED + 5)]
    for number, mail in enumerate(reversed(mails)):
        at = f"2026-04-01T00:{number:02}:00Z"
        published = home.touch(touch(f"e{number}", HANAKO, mail, occurred_at=at))
    named = published.trail().named
    assert len(named) == MOST_NAMED
    assert set(named) == {f"email:{value}" for _, value in mails[:MOST_NAMED]}


def test_features_are_kept_for_the_filters_that_segments_use():
    shop = FeatureKey("", "order_completed", "JPY", source="shop")
    spring = FeatureKey("web", campaign="spring")
    home = Home([shop, spring])
    home.touch(order("e1", MAIL, amount="100"), source="shop")
    home.touch(order("e2", MAIL, amount="50"), source="till")
    home.touch(
        order("e3", MAIL, amount="7", value={"amount": "7", "currency": "USD"}), source="shop"
    )
    last = home.touch(touch("e4", MAIL, campaign={"name": "spring"}), touch("e5", MAIL))
    kept = last.trail().features
    assert features.totals(kept[feature_name(shop)])[2:] == (1, 100 * features.MICROS)
    assert features.totals(kept[feature_name(spring)]).touches == 1
    assert features.totals(kept[YEN])[2:] == (2, 150 * features.MICROS)


def test_amounts_add_up_exactly(home):
    amounts = ["0.1", "0.2", "0.000001", "999999999999.999999", "-0.3"]
    for number, amount in enumerate(amounts):
        published = home.touch(order(f"e{number}", MAIL, amount=amount))
    total = features.totals(published.trail().features[YEN]).amount
    assert Decimal(features.amount_text(total)) == sum(map(Decimal, amounts))


# Engagement and watermarks


def test_counters_are_absolute_per_window_and_name_their_home(home):
    home.touch(order("e1", MAIL, amount="0.1", duration_s=1.5))
    (row,) = home.touch(order("e2", HANAKO, amount="0.2", duration_s=0.25)).rows(
        topics.ENGAGEMENT.name
    )
    assert row == {
        "epoch": 1, "window_start": "2026-05-01T00:00:00.000Z", "channel": "commerce",
        "type": "order_completed", "source": "test", "campaign_name": "", "value_currency": "JPY",
        "home": 0, "touchpoints": 2, "value_amount": "0.3", "duration_s": 1.75, "version": 2,
    }  # fmt: skip


def test_a_late_touch_updates_the_window_in_which_it_occurred(home):
    home.touch(touch("e1", MAIL))
    (row,) = home.touch(touch("e2", MAIL, occurred_at="2026-04-02T03:59:59.999Z")).rows(
        topics.ENGAGEMENT.name
    )
    assert (row["window_start"], row["touchpoints"]) == ("2026-04-02T03:00:00.000Z", 1)


def test_the_accepted_touch_is_passed_on_byte_for_byte(home):
    (record,) = home.records(touch("e1", MAIL, properties={"絵文字": "😀"}))
    (out,) = [o for o in home.take(record).decision.outputs if o.topic == topics.DEDUPLICATED.name]
    assert (out.key, out.value) == (own(MAIL).encode(), record.value)


def test_a_watermark_goes_to_every_partition_once_something_was_processed(home):
    assert home.stage.tick(Tick(2, 99, 0), home.store).outputs == []
    outputs = home.stage.tick(Tick(2, 99, 50), home.store).outputs
    assert [out.partition for out in outputs] == [0, 1, 2]
    assert {messages.decode_trail_message(out.value) for out in outputs} == {
        messages.Watermark(2, 50)
    }


# Records that cannot be read


def test_records_that_cannot_be_read_are_set_aside_and_the_rest_is_folded(home):
    one, two = home.records(touch("a", HANAKO), touch("b", TARO))
    cut = home.append(topics.TOUCHPOINTS.name, one.key, one.value[:-9])
    no_time = two.value.replace(b'"occurred_at":"2', b'"occurred_at":"x')
    never = home.append(topics.TOUCHPOINTS.name, two.key, no_time)
    decision = home.stage.decide([one, cut, never, two], home.store)
    assert [failure.record for failure in decision.failed] == [cut, never]
    accepted = [o.value for o in decision.outputs if o.topic == topics.DEDUPLICATED.name]
    assert accepted == [one.value, two.value]
    assert decision.counts["redelivered"] == 0
