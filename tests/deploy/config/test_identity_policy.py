"""The identity policy of an epoch: kept, read back, and compared with the configured one."""

from __future__ import annotations

from dataclasses import replace

from deploy.config.identity_policy import (
    differences,
    find_reordered_kinds,
    parse_policy,
    serialize_policy,
)
from schemas.identifiers import IdentityPolicy

DEFAULT = IdentityPolicy()


def test_a_policy_comes_back_as_it_was_described():
    policy = replace(DEFAULT, joins_per_day=7).with_kinds(
        {"device_id": {"joins": True}, "wechat": {"strength": 55, "limit": 2}}
    )
    assert parse_policy(serialize_policy(policy), DEFAULT) == policy
    assert serialize_policy(parse_policy(serialize_policy(policy), DEFAULT)) == serialize_policy(
        policy
    )


def test_what_is_no_identity_is_always_as_configured():
    blocked = replace(DEFAULT, blocked=frozenset({"nobody"}))
    assert parse_policy(serialize_policy(DEFAULT), blocked).blocked == {"nobody"}


def test_an_epoch_without_a_description_has_the_configured_policy():
    assert parse_policy("", DEFAULT) is DEFAULT


def test_every_setting_that_differs_is_named_with_both_values():
    now = replace(DEFAULT, joins_per_day=5).with_kinds(
        {"email": {"limit": 9}, "device_id": {"joins": True}}
    )
    assert list(differences(DEFAULT, now)) == [
        (("identity", "joins_per_day"), "5, but the present epoch was built with 20"),
        (
            ("identity", "kinds", "device_id", "joins"),
            "true, but the present epoch was built with false",
        ),
        (("identity", "kinds", "email", "limit"), "9, but the present epoch was built with 5"),
    ]
    assert not list(differences(now, now))


def test_only_the_order_of_kinds_that_occur_is_held():
    swapped = DEFAULT.with_kinds({"phone": {"strength": 25}})
    assert find_reordered_kinds(DEFAULT, swapped, ["customer_id", "email", "phone"]) == (
        "phone",
        "email",
    )
    assert find_reordered_kinds(DEFAULT, swapped, ["customer_id", "phone"]) is None
    same_order = DEFAULT.with_kinds({"phone": {"strength": 41}})
    assert find_reordered_kinds(DEFAULT, same_order, DEFAULT.kinds) is None


def test_a_kind_that_becomes_listed_leaves_its_place_behind_the_built_in_ones():
    listed = DEFAULT.with_kinds({"wechat": {"strength": 55}})
    assert find_reordered_kinds(DEFAULT, listed, [*DEFAULT.kinds, "wechat"]) == (
        "wechat",
        "facebook",
    )
    assert find_reordered_kinds(DEFAULT, listed, DEFAULT.kinds) is None
