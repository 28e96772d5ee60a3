"""Phone numbers: every writing of a number is one identifier, and what is no number is none."""

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.identifiers import IdentityPolicy
from schemas.phone_numbers import phone_number

POLICY = IdentityPolicy()
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
_FULL_WIDTH = str.maketrans("0123456789+-", "０１２３４５６７８９＋－")
_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@st.composite
def numbers(draw: st.DrawFn) -> phonenumbers.PhoneNumber:
    """A valid number: an example of its plan with other last digits."""
    region = draw(st.sampled_from(REGIONS))
    kind = draw(
        st.sampled_from(
            [phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]
        )
    )
    example = phonenumbers.example_number_for_type(region, kind)
    assume(example is not None)
    national = phonenumbers.national_significant_number(example)
    count = draw(st.integers(0, min(6, len(national))))
    digits = draw(st.text("0123456789", min_size=count, max_size=count))
    national = national[: len(national) - count] + digits
    number = phonenumbers.parse(f"+{example.country_code}{national}", None)
    assume(phonenumbers.is_valid_number(number))
    return number


def e164(number: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def normal(value: str, region: str | None = None) -> str | None:
    found = POLICY.normalize("phone", value, region)
    return found and found.value


@given(numbers(), st.sampled_from([None, *REGIONS]))
def test_every_international_writing_is_one_number(
    number: phonenumbers.PhoneNumber, region: str | None
):
    plain = e164(number)
    assume(len(plain) <= 16)
    wanted = normal(plain)
    assert wanted is not None
    digits = plain[1:]
    spaced = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    uri = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.RFC3966)
    for writing in (
        plain,
        spaced,
        uri,
        f"{uri};ext=12",
        f"(+{number.country_code}) {spaced.partition(' ')[2]}",
        f"+00{digits}",
        f"{spaced} ext. 5",
        f"\u202a{spaced}\u202c",
        f"whatsapp:{plain}",
        plain.translate(_FULL_WIDTH),
        spaced.translate(_ARABIC),
    ):
        assert normal(writing, region) == wanted, writing


@given(numbers())
def test_a_national_writing_is_the_number_in_its_region(number: phonenumbers.PhoneNumber):
    region = phonenumbers.region_code_for_number(number)
    assume(region in REGIONS)
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    assume(phonenumbers.parse(national, region) == number)
    assert normal(national, region) == normal(e164(number))


@given(
    st.one_of(
        st.text("0123456789+-() .xX", max_size=24),
        st.text("0123456789", min_size=7, max_size=15).map("+{}".format),
        st.sampled_from(["52", "54", "55", "57", "84", "225", "229"]).flatmap(
            lambda code: st.text("0123456789", min_size=8, max_size=13).map(f"+{code}{{}}".format)
        ),
    ),
    st.sampled_from([None, "JP", "US", "MX", "AR", "BR", "CI", "KR"]),
)
def test_a_normal_form_is_its_own_valid_and_has_fifteen_digits_at_most(
    value: str, region: str | None
):
    found = phone_number(value, region)
    if found is not None:
        assert set(found[1:]) <= set("0123456789")
        assert len(found) <= 16
        assert phone_number(found, "JP") == found


@pytest.mark.parametrize(
    ("wanted", "writings"),
    [
        (
            "+525512345678",
            ["+5215512345678", "+52 1 55 1234 5678", "+52 55 1234 5678", "+52 044 55 1234 5678"],
        ),
        ("+5491123456789", ["+54 11 15-2345-6789", "+54 9 11 15 2345 6789", "+54 9 11 2345-6789"]),
        ("+5493512345678", ["+54 0351 15 234 5678", "+54 9 351 2345678"]),
        ("+5531987654321", ["+553187654321", "+55 31 98765-4321", "+55 (0)31 8765-4321"]),
        ("+5531971234567", ["+553171234567"]),
        ("+2250707123456", ["+22507123456", "+225 07 07 12 34 56"]),
        ("+2250544123456", ["+22544123456"]),
        ("+2250140123456", ["+22540123456"]),
        ("+2290197123456", ["+229 97 12 34 56"]),
        ("+576012345678", ["+57 1 234 5678", "+57 601 2345678"]),
        ("+84321234567", ["+84 162 1234567", "+84 0162 1234567"]),
        ("+84701234567", ["+841201234567"]),
    ],
)
def test_an_older_writing_is_the_number_of_today(wanted: str, writings: list[str]):
    assert [normal(writing) for writing in [wanted, *writings]] == [wanted] * (len(writings) + 1)


@pytest.mark.parametrize(
    ("value", "region", "wanted"),
    [
        ("044 55 1234 5678", "MX", "+525512345678"),
        ("01 55 1234 5678", "MX", "+525512345678"),
        ("011 15-2345-6789", "AR", "+5491123456789"),
        ("(31) 8765-4321", "BR", "+5531987654321"),
        ("07 12 34 56", "CI", "+2250707123456"),
        ("+54 11 4321 0000", None, "+541143210000"),
        ("+55 31 3123 4567", None, "+553131234567"),
    ],
)
def test_a_national_writing_may_be_an_older_one_and_fixed_lines_stay(
    value: str, region: str | None, wanted: str
):
    assert normal(value, region) == wanted


@pytest.mark.parametrize("region", [None, "JP", "US", "DE", "KR", "AU"])
@pytest.mark.parametrize(
    "value",
    [
        "00819012345678",
        "0081 90 1234 5678",
        "0081 (0)90 1234 5678",
        "(0081) 90-1234-5678",
        "+0081 90 1234 5678",
        "00+81 90 1234 5678",
        "++81 90 1234 5678",
    ],
)
def test_00_is_the_international_prefix_wherever_a_number_was_written(
    value: str, region: str | None
):
    assert normal(value, region) == "+819012345678"


@pytest.mark.parametrize(
    ("value", "region", "wanted"),
    [
        ("011 81 90 1234 5678", "US", "+819012345678"),
        ("010 1 415 555 0100", "JP", "+14155550100"),
        ("0011 81 90 1234 5678", "AU", "+819012345678"),
        ("001 81 90 1234 5678", "KR", "+819012345678"),
        ("81 90 1234 5678", "JP", "+819012345678"),
    ],
)
def test_the_prefix_of_the_region_is_known(value: str, region: str, wanted: str):
    assert normal(value, region) == wanted


@pytest.mark.parametrize(
    "value",
    [
        "090-1234-5678 ext. 5",
        "090-1234-5678 内線5",
        "090-1234-5678（内線 12）",
        "090-1234-5678 x5",
        "090-1234-5678#5",
        "090-1234-5678,,5",
        "090-1234-5678, ext: 5",
        "tel:090-1234-5678;phone-context=+81",
        "tel:090-1234-5678;ext=7;phone-context=+81",
        "TEL 090ー1234ー5678",
        "０９０－１２３４－５６７８",
    ],
)
def test_labels_extensions_and_other_digits_are_no_part_of_a_number(value: str):
    assert normal(value, "JP") == "+819012345678"


@pytest.mark.parametrize(
    ("value", "region"),
    [
        ("555-625-1199", "JP"),
        ("555-555-5555", "US"),
        ("+8100819012345678", None),
        ("+0 81 90 1234 5678", "JP"),
        ("1-800-FLOWERS", "US"),
        ("+1 415 CALL NOW", None),
        ("12345", "JP"),
        ("110", "JP"),
        ("+81110", None),
        ("090-1234-5678 / 090-1234-5679", "JP"),
        ("8.19012E+11", "JP"),
        ("+4930123456789012345", None),
        ("2026-11-20 04:05", "JP"),
        ("call me", "JP"),
        ("00", "JP"),
        ("+", None),
    ],
)
def test_what_no_plan_assigns_is_no_number(value: str, region: str | None):
    assert normal(value, region) is None


@pytest.mark.parametrize(
    "value", ["+15005550006", "+14155550100", "+819011110001", "+447700900123", "+33639981234"]
)
def test_numbers_for_tests_and_examples_are_numbers(value: str):
    assert normal(value) == value
