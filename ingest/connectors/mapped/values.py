"""Reading of one value of an event: its translation, its scale, and the words that it may be.

Errors in a configured value are reported when it is read; an error in an event is an
`ExpressionError`, which names no value.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from ingest.connectors.mapped.expressions import Compiled, ExpressionError, Scope
from ingest.connectors.mapped.origin import (
    Origin,
    Plain,
    Section,
    as_object,
    with_one_origin,
    word,
)
from ingest.kit.mapping_terms import (
    GIVEN,
    NO_CONSENT_WORD,
    REFUSED,
    ConsentWords,
    Separators,
    Translation,
    exact,
)
from schemas.touchpoint import Channel, Direction, EventType

#: YAML reads these words as truth values where they are keys: their text in Python -> the word.
_YAML_WORDS = {"True": "true", "False": "false"}


def _with_yaml_words(table: dict[str, Any]) -> dict[str, Any]:
    return {**{_YAML_WORDS.get(word, word): value for word, value in table.items()}, **table}


Table = Annotated[dict[str, Plain], Field(min_length=1), AfterValidator(_with_yaml_words)]


class Translated(Section):
    """A translation of words: `table` drops a word that it does not list, `values` keeps it.

    `default` takes the place of an absent value, and of a word that is not listed.
    """

    table: Table | None = None
    values: Table | None = None
    default: Plain = None
    _translation: Translation | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _one_translation(self) -> Self:
        if self.table is not None and self.values is not None:
            raise ValueError("expected either values or a table")
        return self

    def model_post_init(self, _: Any) -> None:
        """Make the translation, once."""
        words = self.table or self.values or {}
        if words or self.default is not None:
            self._translation = Translation(words, self.table is None, self.default)

    @property
    def translation(self) -> Translation | None:
        """The translation; None without one."""
        return self._translation

    @property
    def changes_words(self) -> bool:
        """True if words are translated."""
        return self.table is not None or self.values is not None


class Computed(Origin, Translated):
    """A value: that of an expression, translated, then multiplied by a scale."""

    scale: Decimal | None = None

    def read(self, event: Any, scope: Scope, separators: Separators | None = None) -> Any:
        """Return the value, or None. Raises ExpressionError."""
        found = self.expr.search(event, scope)
        if self.translation is not None:
            found = self.translation.of(word(found) or "", found)
        if separators is not None and isinstance(found, str):
            found = separators.plain(found)
        if self.scale is None or found is None or found == "":
            return found
        number = exact(found)
        if number is None:
            raise ExpressionError("must be a number")
        return number * self.scale


Value = Annotated[Computed, BeforeValidator(as_object("expr"))]


def _folded(given: object) -> frozenset[str]:
    words = given if isinstance(given, list) else [given]
    texts = [one for one in words if isinstance(one, str) and one]
    if texts != words:
        raise ValueError("must be text, or a list of it; write yes and no in quotes")
    return frozenset(map(str.casefold, texts))


ConsentWordList = Annotated[frozenset[str], BeforeValidator(_folded)]


class Consent(Computed):
    """A decision about consent: true or false, or the words `given` and `refused` for them."""

    given: ConsentWordList | None = None
    refused: ConsentWordList | None = None

    def read(self, event: Any, scope: Scope, separators: Separators | None = None) -> Any:
        """Return the decision, or None. Raises ExpressionError."""
        found = super().read(event, scope, separators)
        if (self.given is None and self.refused is None) or found is None or found == "":
            return found
        words = ConsentWords(
            GIVEN if self.given is None else self.given,
            REFUSED if self.refused is None else self.refused,
        )
        decision = words.decision(word(found) or "")
        if decision is None:
            raise ExpressionError(NO_CONSENT_WORD)
        return decision


ConsentValue = Annotated[Consent, BeforeValidator(as_object("expr"))]


class Word(Translated):
    """A fixed word, or one that is computed."""

    fixed: str | None = None
    expr: Compiled | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_expression(cls, given: Any) -> Any:
        return with_one_origin(given, "fixed") if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.fixed is None) == (self.expr is None) or (self.fixed and self.translation):
            raise ValueError("expected a word, or expr and perhaps table")
        return self

    def read(self, event: Any, scope: Scope) -> str | None:
        """Return the word of the expression as it stands in the event. Raises ExpressionError."""
        return word(self.expr.search(event, scope)) if self.expr is not None else self.fixed

    @property
    def results(self) -> list[Any]:
        """The words that the mapping itself states."""
        listed = self.translation.words.values() if self.translation is not None else ()
        return [one for one in (self.fixed, self.default, *listed) if one is not None]


def _words_of(kind: Any, expected: str) -> Callable[[Word], Word]:
    adapter = TypeAdapter(kind)

    def check(value: Word) -> Word:
        for text in value.results:
            try:
                adapter.validate_python(text, strict=True)
            except ValidationError:
                raise ValueError(f"expected {expected}") from None
        return value

    return check


_WORD = BeforeValidator(as_object("fixed"))
TypeWord = Annotated[
    Word, _WORD, AfterValidator(_words_of(EventType, "a type such as form_submitted"))
]
ChannelWord = Annotated[Word, _WORD, AfterValidator(_words_of(Channel, "a channel such as web"))]
DirectionWord = Annotated[Word, _WORD, AfterValidator(_words_of(Direction, "inbound or outbound"))]
