"""Phone numbers in normal form: E.164, the number that a numbering plan has today.

A person's number comes from networks, forms, shops and telephone systems, each with a writing of
its own: with `+`, with the international prefix `00` or that of the region, with a trunk zero, an
extension, other digits than ASCII's, or as it was before its country changed the plan. All of them
are one number. A number that no plan assigns is none: an identifier that somebody mistyped would
join strangers.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber

#: Digits of a number in E.164, its country code included, at most.
_MAX_DIGITS = 15
_TEL_URI = re.compile(r"\s*tel:([^;]*)(?:;(?!phone-context)[^;]*)*(?:;phone-context=([^;]*))?.*")
#: Text before a number: "Tel.", "whatsapp:", an opening bracket.
_LABEL = re.compile(r"^[^\d+]+")
#: An extension within the company that has the number. It is no part of the number in E.164.
_EXTENSION = re.compile(
    r"(?:;ext=|extension|extn?|x|#|内線|內線|anexo|poste|доб|,,)[\s.:=)\],#-]*\d{1,9}\D*$"
)
#: The beginning of a number with its country code. `00` after a plus, or the plus after `00`, is
#: a prefix that was typed twice.
_PREFIX = re.compile(r"(?:\++[^\d+]*(?:00[^\d+]*)?|00[^\d+]*\+?[^\d+]*)(?=[1-9])")


#: Numbers that plans keep free for films and examples, and that the library does not list.
_EXAMPLES = re.compile(r"\+(?:44(?:7700900|1632960)\d{3}|3532091[0-4]\d{4}|3363998\d{4})")


class _Renumbered(NamedTuple):
    """Numbers that are written in an older way: the national number, and what it is today."""

    written: re.Pattern[str]
    today: str


def _renumbered(written: str, today: str) -> _Renumbered:
    return _Renumbered(re.compile(written), today)


#: Country code -> the older writings of its numbers. Each tells the number of today exactly, and is
#: no number of today itself.
_RENUMBERED: dict[int, tuple[_Renumbered, ...]] = {
    # Mexico, 3 August 2019: numbers have ten digits, without 1 before mobiles (as WhatsApp still
    # writes them) and without the prefixes 01, 044 and 045 within the country.
    52: (_renumbered(r"(?:1|01|044|045)(\d{10})", r"\1"),),
    # Argentina writes a mobile with 9 before the area code, or with 15 behind it; both is too much.
    # (With 15 alone phonenumbers reads it.)
    54: (_renumbered(r"9(\d{2,4}15\d{6,8})", r"\1"),),
    # Brazil, 2012 to 2016: a 9 before mobiles, which begin with 6 to 9. WhatsApp writes those that
    # are older without it.
    55: (_renumbered(r"(\d\d)([6-9]\d{7})", r"\g<1>9\2"),),
    # Colombia, 1 September 2021: 60 before the area code of fixed lines.
    57: (_renumbered(r"([124-8]\d{7})", r"60\1"),),
    # Vietnam, 15 September 2018: mobiles of eleven digits became ones of ten.
    84: tuple(
        _renumbered(rf"{old}(\d{{7}})", rf"{new}\1")
        for old, new in (
            ("120", "70"), ("121", "79"), ("122", "77"), ("126", "76"), ("128", "78"),
            ("123", "83"), ("124", "84"), ("125", "85"), ("127", "81"), ("129", "82"),
            *((f"16{digit}", f"3{digit}") for digit in range(2, 10)),
            ("186", "56"), ("188", "58"), ("199", "59"),
        )
    ),
    # Ivory Coast, 31 January 2021: before a mobile the operator's prefix, which the second digit
    # tells. (Of fixed lines it does not.)
    225: (
        _renumbered(r"([0457][0-3]\d{6})", r"01\1"),
        _renumbered(r"([04-9][4-6]\d{6})", r"05\1"),
        _renumbered(r"([04-9][7-9]\d{6})", r"07\1"),
    ),
    # Benin, 30 November 2024: 01 before all numbers.
    229: (_renumbered(r"(\d{8})", r"01\1"),),
}  # fmt: skip


def phone_number(value: str, region: str | None) -> str | None:
    """Return a number in E.164, or None if there is no such number.

    `region` (ISO 3166) is the country of numbers without a country code. A country code is what
    follows `+`, `00` (wherever the number was written) or the region's own international prefix.

    The number must be valid by the numbering plans that `phonenumbers` knows, not only of a
    possible length: a mistyped number, a short code, an order number or 555-555-5555 would pass for
    a person's otherwise, and join strangers. A word on the keypad is no person's. A range that was
    opened after the release of the library is not known there until the next one; a touch that has
    no other identifier is kept among the rejections until then, and a replay takes it.
    """
    text = _digits_of(value)
    if text is None:
        return None
    prefix = _PREFIX.match(text)
    if prefix is None:
        return _e164(text, region)
    found = _e164(f"+{text[prefix.end() :]}", None)
    return found if found or text.startswith("+") else _e164(text, region)


def _digits_of(value: str) -> str | None:
    """Return a number from its first digit or plus on; None if there are letters in it."""
    text = unicodedata.normalize("NFKC", value).casefold()
    if uri := _TEL_URI.fullmatch(text):
        text = uri[1] if not uri[2] or uri[1].startswith("+") else f"{uri[2]} {uri[1]}"
    if not text.isascii():
        # Marks of writing direction come with numbers that were copied from an address book.
        text = "".join(c for c in text if unicodedata.category(c) != "Cf").replace("ー", "-")
    text = _EXTENSION.sub("", _LABEL.sub("", text, count=1), count=1).rstrip(" ,;.([-")
    return text if text and not any(map(str.isalpha, text)) else None


def _e164(text: str, region: str | None) -> str | None:
    """Return a number as the library reads it, in its writing of today."""
    try:
        number = _today(phonenumbers.parse(text, region))
    except NumberParseException:
        return None
    found = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    exists = phonenumbers.is_valid_number(number) or _EXAMPLES.fullmatch(found)
    return found if exists and len(found) <= 1 + _MAX_DIGITS else None


def _today(number: PhoneNumber) -> PhoneNumber:
    """Return the number that an older writing stands for; any other as it is."""
    rules = _RENUMBERED.get(number.country_code or 0)
    if rules is None:
        return number
    national = phonenumbers.national_significant_number(number)
    for rule in rules:
        if found := rule.written.fullmatch(national):
            today = phonenumbers.parse(f"+{number.country_code}{found.expand(rule.today)}", None)
            if phonenumbers.is_valid_number(today):
                return today
    return number
