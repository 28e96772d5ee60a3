"""The connector interface: it converts a provider's events to touchpoints.

A connector is a class, published under the entry point group `touchline.connectors`; the built-in
ones are loaded in the same way. It is made once per source from the source's options, and it
never talks to Kafka, ClickHouse or a clock. There are two kinds:

* `WebhookConnector` gets raw HTTP requests. `verify` checks the request's signature over the raw
  bytes (constant time), then `parse` yields touchpoints and rejections.
* `BatchConnector` reads a file or pulls from a provider, from a cursor, and yields the same. A
  `RowConnector` is one that splits its input into rows, so that one row alone can be refused
  and read again.

Bad data is a value: `parse` yields a `Rejection` for what it cannot understand and never raises
for it. An exception means a bug in the connector.

A feature that only some providers need is a separate protocol, and a connector that has its methods
implements it: `KeyedConnector` (sources that share an address), `FetchingConnector`
(something from the provider's site is needed), `TokenConnector` (a token is signed instead of the
event), `PresetConnector` (several providers by name). Such additions leave the version of the
interface as it is: no connector has to know them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from ingest import loose_json
from ingest.request import Request
from schemas.errors import TouchlineError
from schemas.rejection import Rejection
from schemas.touchpoint import Touchpoint, explain

__all__ = [
    "INTERFACE_VERSION",
    "AnyConnector",
    "BatchConnector",
    "Context",
    "FetchingConnector",
    "File",
    "FileProblem",
    "KeyedConnector",
    "MessageConnector",
    "NotNow",
    "Options",
    "Position",
    "PresetConnector",
    "Reader",
    "Reply",
    "Request",
    "Result",
    "Row",
    "RowConnector",
    "Secrets",
    "TokenConnector",
    "Use",
    "WebhookConnector",
    "json_bytes",
    "original",
    "secrets",
    "secrets_among",
    "touchpoint",
]

#: Version of this interface; a connector names the one that it was written for.
INTERFACE_VERSION = 1

Result = Touchpoint | Rejection
_STAND_IN = SecretStr("not-a-secret")


class Options(BaseModel):
    """The base of a connector's options in `touchline.yaml`: unknown options are refused.

    Secrets are `Secrets`: one, or a list, each of which is valid during a rotation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def with_stand_ins(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options with a stand-in for each required secret that is missing: for a dry run,
        which checks no signature.
        """
        missing = {
            option: _STAND_IN
            for option, field in cls.model_fields.items()
            if field.is_required() and option not in given and "SecretStr" in str(field.annotation)
        }
        return {**missing, **given}


Secrets = SecretStr | tuple[SecretStr, ...]


def secrets(value: Secrets) -> tuple[bytes, ...]:
    """Return the secrets as bytes."""
    values = value if isinstance(value, tuple) else (value,)
    return tuple(secret.get_secret_value().encode() for secret in values)


def secrets_among(options: object) -> tuple[bytes, ...]:
    """Return all secrets in the options of a source, those of nested ones too."""
    if isinstance(options, SecretStr):
        secret = options.get_secret_value()
        return (secret.encode(),) if secret else ()
    inner: Iterable[object] = ()
    if isinstance(options, BaseModel):
        inner = (value for _, value in options)
    elif isinstance(options, tuple | list):
        inner = options
    elif isinstance(options, Mapping):
        inner = options.values()
    return tuple(secret for one in inner for secret in secrets_among(one))


@runtime_checkable
class KeyedConnector(Protocol):
    """A webhook connector whose sources share one address and are told apart by a key.

    The gateway asks `key` which secret the caller shows, and finds the source among those whose
    `keys` hold it. The address is `/hooks/` and the connector's name, unless a source has that
    name; an `ingest.kit.keyed.KeyedWebhook` may declare paths of its own. `verify` has the same
    meaning as for every connector: True if the request shows a key of this source.
    """

    @classmethod
    def key(cls, request: Request) -> bytes | None:
        """Return the secret that the caller shows (in a header, the query or the body), or None.

        Never raises; the body may be empty or unreadable, then headers and query must suffice.
        """

    def keys(self) -> tuple[bytes, ...]:
        """Return the secrets that are valid for this source."""


@runtime_checkable
class FetchingConnector(Protocol):
    """A webhook connector that needs something from its provider's site, such as a certificate.

    It stays pure: it names addresses, and the gateway fetches them (GET, https only, without
    following redirects, within a time and a size, cached for some time). An address whose host is
    not one of `hosts` is never called. If the site cannot be reached the provider gets 503 and
    sends the request again.
    """

    #: Matches the whole host of each address that may be called.
    hosts: ClassVar[re.Pattern[str]]

    def needs(self, request: Request) -> str | None:
        """Return the address that `verify` needs; its content is then in `Request.fetched`.

        Never raises. Anybody can send the request: return an address only if everything that can be
        checked without a signature is right.
        """

    def calls(self, request: Request) -> str | None:
        """Return the address to be called before a verified request is answered. Never raises.

        It is called again when the request is repeated.
        """


@runtime_checkable
class PresetConnector(Protocol):
    """A webhook connector that knows several providers by name; its option `preset` takes one."""

    @classmethod
    def presets(cls) -> Mapping[str, str]:
        """Return each preset's name and a line about it, for `connectors list`."""


class Use(NamedTuple):
    """A signed token, and the bytes of the event that came with it."""

    token: bytes
    event: bytes


@runtime_checkable
class TokenConnector(Protocol):
    """A webhook connector whose provider signs a token for one use and not the event.

    Whoever has seen a request could send another event with its token. So the gateway remembers
    which event came with a token: the same event again is a redelivery, any other gets 401.
    """

    def token_use(self, request: Request) -> Use:
        """Return the token and the event of a verified request; a redelivery's are the same.

        Never raises.
        """


class Reply(NamedTuple):
    """The answer that the provider expects; by default exactly 200 with an empty body."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"


class File(NamedTuple):
    """A file that is imported.

    `id` stands for its content: a file that is imported again, or has grown since, has the same
    id, whatever its name. The first `size` bytes are to be read; what is appended meanwhile is for
    the next import.
    """

    path: Path
    id: str
    size: int


@dataclass(frozen=True, slots=True)
class Context:
    """The facts about its source that a connector may need while it reads.

    `received_ms` is the time of receipt, milliseconds UTC. `currency` is the source's
    default. Limits are those of the gateway.
    """

    source: str
    received_ms: int
    currency: str | None = None
    max_events: int = 10_000
    #: The file of an import, for a batch connector that does not pull.
    file: File | None = None


class WebhookConnector(ABC):
    """A connector for a provider that calls us.

    Both methods are pure: the same request gives the same answer. The same request delivered
    twice yields touchpoints with the same event ids.
    """

    #: Name in `touchline.yaml` and of the entry point.
    name: ClassVar[str]
    interface: ClassVar[int] = INTERFACE_VERSION
    #: One line for `connectors list`.
    doc: ClassVar[str]
    #: The model of the source's options; the gateway builds it from the configuration.
    options: ClassVar[type[Options]]
    #: Headers, in lower case, that `parse` reads. They, the path and the body are stored with a
    #: refusal, so that it can be replayed. A name that ends in `-` stands for all that begin with
    #: it. Never a key or a signature.
    reads: ClassVar[tuple[str, ...]] = ("content-type",)
    #: The secrets among its options, set when it is made: what is kept of a refusal shows none.
    masked: tuple[bytes, ...] = ()

    @abstractmethod
    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if the provider signed this request; compares in constant time.

        False means 401, and nothing of the request is stored. Never raises.
        """

    @abstractmethod
    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the touchpoints of a verified request, in order, and a rejection for each bad part.

        Never raises for bad data; a body that cannot be read at all is one `unreadable` rejection.
        """

    def around(self, request: Request) -> tuple[bytes, bytes] | None:
        """Return the bytes before and after one event of this request that make it a body.

        It is for connectors that store only the refused event of a batch: `parse` gives the same
        result for it, alone in such a body, as in the batch. For a body that it cannot read: the
        bytes around an event of any body. None: a refusal always stores the whole body.
        """
        return None

    def reply(self, request: Request) -> Reply:
        """Return the answer that is sent once everything is stored."""
        return Reply()

    def handshake(self, request: Request) -> Reply | None:
        """Return the answer to a GET; None if the provider knows no handshake, 403 if it fails."""
        return None


class Reader(Protocol):
    """A reader of requests, be they webhooks or rows: both kinds of connectors have this."""

    @property
    def name(self) -> str:
        """See `WebhookConnector`."""

    @property
    def reads(self) -> tuple[str, ...]:
        """See `WebhookConnector`."""

    @property
    def masked(self) -> tuple[bytes, ...]:
        """See `WebhookConnector`."""

    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """See `WebhookConnector.parse`."""

    def around(self, request: Request) -> tuple[bytes, bytes] | None:
        """See `WebhookConnector.around`."""


class Position(NamedTuple):
    """The position of a batch connector: an opaque cursor, and the progress (0 to 1) if known."""

    cursor: str
    progress: float | None = None


class FileProblem(TouchlineError):
    """A file as a whole cannot be read; the text is one line with file and line, if known."""


class NotNow(Exception):
    """A provider cannot be polled at present: a limit is reached, or it cannot be reached.

    The caller goes on from its cursor after `retry_after` seconds, or if that is None after a
    growing pause. `cause` is a word for a metric, the text one line without secrets.
    """

    def __init__(
        self, message: str, retry_after: float | None = None, cause: str = "unreachable"
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.cause = cause


class BatchConnector(ABC):
    """A connector for a file, or for a provider that is polled.

    The caller stores the cursor once Kafka has the events.
    """

    name: ClassVar[str]
    interface: ClassVar[int] = INTERFACE_VERSION
    doc: ClassVar[str]
    options: ClassVar[type[Options]]
    #: False: `touchline import` gives it a file (`Context.file`). True: `touchline pull` polls it
    #: repeatedly, `pause_s` seconds after it was read to its end.
    pulls: ClassVar[bool] = False
    pause_s: float = 60.0
    #: See `WebhookConnector`.
    masked: tuple[bytes, ...] = ()

    @abstractmethod
    def read(
        self, cursor: str | None, context: Context
    ) -> Iterator[tuple[Sequence[Result], Position]]:
        """Yield batches from the cursor on (None: from the start), each with the position after it.

        Raises `FileProblem` for a file that cannot be read at all, `NotNow` for a provider that
        cannot be polled at present. What was yielded before stays valid.
        """


class Row(NamedTuple):
    """One part of the input: a request that `parse` reads, and the position after it.

    `place` says where it is, for people ("contacts.csv:17"). `problem`: the reason why it could not
    be cut out of its input whole; the row is then refused with it.
    """

    request: Request
    position: Position
    place: str
    problem: Rejection | None = None


class RowConnector(BatchConnector):
    """A batch connector whose input has parts that are read one by one: rows, lines, messages.

    `rows` cuts them out, `parse` reads one. A refused row is stored as a request (path, the headers
    that `reads` names, the body), so that a replay can read it again by `parse` alone: the request
    must hold everything that its touchpoints are made of.
    """

    reads: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def rows(self, cursor: str | None, context: Context) -> Iterator[Row]:
        """Yield the rows from the cursor on; raises as `read` does."""

    @abstractmethod
    def parse(self, request: Request, context: Context) -> Iterator[Result]:
        """Yield the touchpoints of a row, and a rejection for each bad part.

        Never raises for bad data. The same row gives touchpoints with the same event ids.
        """

    def around(self, request: Request) -> tuple[bytes, bytes] | None:
        """Return the bytes before and after the row, see `WebhookConnector.around`."""
        return None

    def read(
        self, cursor: str | None, context: Context
    ) -> Iterator[tuple[Sequence[Result], Position]]:
        """See `BatchConnector`: a batch for each row."""
        for row in self.rows(cursor, context):
            if row.problem is not None:
                yield [row.problem], row.position
            else:
                yield list(self.parse(row.request, context)), row.position


@runtime_checkable
class MessageConnector(Protocol):
    """A `RowConnector` that polls for messages; one of them, in a file, can be tried alone."""

    def row_of(self, message: bytes) -> Row:
        """Return the row that `rows` would yield for this message."""


AnyConnector = WebhookConnector | BatchConnector


def touchpoint(fields: Mapping[str, Any], payload: bytes | Callable[[], bytes]) -> Result:
    """Return a touchpoint of these fields, or the rejection that says which of them is wrong.

    `payload` is stored with a rejection: the original bytes, or a function that returns them.
    """
    try:
        touch = Touchpoint.model_validate({k: v for k, v in fields.items() if v is not None})
    except ValidationError as error:
        original = payload if isinstance(payload, bytes) else payload()
        event_id = fields.get("event_id")
        return Rejection(
            "invalid", explain(error), original, event_id if isinstance(event_id, str) else None
        )
    # The slot is no field: it takes part in no comparison and no dump of the frozen model.
    object.__setattr__(touch, "original", payload)
    return touch


def original(touch: Touchpoint) -> bytes:
    """Return the bytes that a touchpoint was read from, to store if it is refused later on.

    A touchpoint that was not made by `touchpoint` is returned in its native form.
    """
    payload: bytes | Callable[[], bytes] | None = getattr(touch, "original", None)
    if payload is None:
        return touch.model_dump_json(exclude_none=True).encode()
    return payload if isinstance(payload, bytes) else payload()


def json_bytes(value: object) -> bytes:
    """Return the bytes to store of one part of a batch: compact JSON."""
    return loose_json.encode(value)
