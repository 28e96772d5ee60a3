"""Identifiers: their ids, and what is none by the policy."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import NAMESPACE, IdentityPolicy, identifier_id


@given(st.text(max_size=20), st.text(max_size=20))
def test_an_id_is_the_uuid5_of_kind_and_value(kind: str, value: str):
    assert identifier_id(kind, value) == str(uuid.uuid5(NAMESPACE, f"{kind}:{value}"))


@pytest.mark.parametrize("blocked", [frozenset(), frozenset({"kiosk"})])
def test_what_is_blocked_goes_by_the_policy(blocked: frozenset[str]):
    policy = IdentityPolicy(blocked=blocked)
    assert (policy.normalize("device_id", "Kiosk", None) is None) == bool(blocked)
