"""Identifiers in few words, and people as sets of them."""

from __future__ import annotations

from schemas.identifiers import Identifier, identifier_id


def customer(value: str) -> Identifier:
    return Identifier("customer_id", value)


def email(value: str) -> Identifier:
    return Identifier("email", value)


def line(value: str) -> Identifier:
    return Identifier("line", value)


def device(value: str) -> Identifier:
    return Identifier("device_id", value)


def browser(value: str) -> Identifier:
    return Identifier("anonymous_id", value)


def own(one: tuple[str, str]) -> str:
    """Return the id of the profile that an identifier is by itself."""
    return identifier_id(*one)


def people(*some: str) -> set[frozenset[str]]:
    return {frozenset(one.split()) for one in some}


HANAKO, TARO = customer("hanako"), customer("taro")
TABLET, PHONE = device("tablet"), device("phone")
#: Their mail.
H, T = email("h@x.jp"), email("t@x.jp")
