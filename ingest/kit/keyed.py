"""Webhook connectors whose sources share addresses and are told apart by a key.

Such a connector is a protocol with paths of its own, which its SDKs call as they are. It declares
them as data, and the gateway serves them: it finds the source by the key, applies CORS and the
source's rate, reads the body, and answers as the protocol wants it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

from ingest.connector import Reply, Request, WebhookConnector
from ingest.kit.signing import is_one_of


class Route(NamedTuple):
    """A path on which events come.

    A whole part of the path may be a name in braces, such as `{key}`, and stands for any text. A
    route of method GET has its events in the query, and no body is read.
    """

    path: str
    #: The path that `parse` sees; '': the one that was called.
    read_as: str = ""
    method: Literal["POST", "GET"] = "POST"
    #: The answer once everything is stored; None: that of the connector's `reply`.
    reply: Reply | None = None
    #: Headers of the answer to every request whose source is known.
    headers: Mapping[str, str] = {}


class Caller(NamedTuple):
    """The source that asks for a document, the key in the path, and the gateway's address."""

    source: str
    #: '' where the document's path has none.
    key: str
    #: As the world calls it, without a slash at its end.
    base_url: str


class Document(NamedTuple):
    """A JSON document that SDKs ask for by GET before they send. HEAD is served too.

    The key is the part `{key}` of the path, or shown as with events where the path has no such
    part.
    """

    path: str
    #: Makes the document; pure.
    content: Callable[[Caller], Any]
    #: The status for an unknown key.
    unknown_status: int = 401


class Cors(NamedTuple):
    """Requests of pages in browsers, on all paths of a connector.

    With `credentials` the SDKs send cookies along, which browsers do only for an origin that is
    named.
    """

    methods: tuple[str, ...]
    #: Headers of requests.
    headers: tuple[str, ...]
    #: Headers of replies that pages may read.
    exposed: tuple[str, ...] = ("Retry-After",)
    credentials: bool = False


class Unauthorized(NamedTuple):
    """The answer 401 to a caller without a valid key."""

    message: str
    #: The scheme in WWW-Authenticate; '': no such header.
    challenge: str = ""
    #: The answer is 400 with the reason where the body that may hold the key cannot be read.
    tells_unreadable: bool = False


class Answers(NamedTuple):
    """The answers to requests whose source is known."""

    #: 202 with the result of each event, in place of the route's or the connector's reply.
    itemized: bool = False
    #: A request with nothing but an event that says nothing against its sender (one of nobody, for
    #: instance) is answered as if it was accepted.
    tolerant: bool = True
    #: The status of a body or an event over a limit.
    too_large: int = 413


class KeyedWebhook(WebhookConnector):
    """Base of a connector with a key; it is an `ingest.connector.KeyedConnector`.

    A subclass says where the key is (`head_key`, `body_key`) and declares its paths. Without
    `routes` its sources share the address `/hooks/` and the connector's name.
    """

    routes: ClassVar[tuple[Route, ...]] = ()
    documents: ClassVar[tuple[Document, ...]] = ()
    #: None: no page in a browser sends to its sources.
    cors: ClassVar[Cors | None] = None
    unauthorized: ClassVar[Unauthorized] = Unauthorized("the key is missing or unknown")
    answers: ClassVar[Answers] = Answers()
    #: True: a request that shows no key in its head has its body read for one. Otherwise no body
    #: is read without a valid key.
    key_in_body: ClassVar[bool] = False

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """`keys`: the secrets of the source."""
        self._keys = keys

    @classmethod
    @abstractmethod
    def head_key(cls, request: Request) -> bytes | None:
        """Return the secret in the headers, the query or the address, or None. Never raises."""

    @classmethod
    def body_key(cls, request: Request) -> bytes | None:
        """Return the secret in the events themselves, or None. Never raises."""
        return None

    @classmethod
    def key(cls, request: Request) -> bytes | None:
        """Return the secret that the caller shows, or None; the one in the head wins."""
        head = cls.head_key(request)
        return cls.body_key(request) if head is None and cls.key_in_body else head

    def keys(self) -> tuple[bytes, ...]:
        """Return the secrets that are valid for this source."""
        return self._keys

    def verify(self, request: Request, received_ms: int) -> bool:
        """Return True if the request shows a secret of this source."""
        shown = self.key(request)
        return shown is not None and is_one_of(shown, self._keys)
