"""Request data stored with a refused payload, so that its connector can read it again.

A payload is the whole body, or one event of it, which needs the bytes around it to be a body. Only
the headers that the connector reads are stored, never a key or a signature: a request is verified
before anything of it is stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import structlog

from ingest.connector import Reader, Request
from ingest.intake.masking import masked
from schemas.error_location import error_location
from schemas.rejection import Form, Origin, Rejection

log = structlog.get_logger(__name__)

#: Stored only if the body could not be decompressed and is as it was sent.
ENCODING = "content-encoding"
_ESCAPED = "surrogateescape"


class ReplayContext(NamedTuple):
    """Path and headers, and the bytes before and after an event that make it a body."""

    path: str = ""
    headers: Mapping[str, str] = {}
    before: bytes = b""
    after: bytes = b""

    def text(self) -> str:
        """Return one line of ASCII: JSON keeps lone surrogates as escapes.

        Headers may hold some, and they stand for bytes around an event that are not UTF-8.
        """
        around = (part.decode(errors=_ESCAPED) for part in (self.before, self.after))
        return json.dumps([self.path, dict(self.headers), *around], separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> ReplayContext:
        """Parse the output of `text`; raises ValueError."""
        path, headers, before, after = json.loads(text)
        return cls(path, headers, before.encode(errors=_ESCAPED), after.encode(errors=_ESCAPED))

    def alone(self, connector: Reader, request: Request) -> ReplayContext | None:
        """Return a copy with the bytes around one event; None if the connector names none."""
        try:
            around = connector.around(request)
            if around is None:
                return None
            before, after = (bytes(part) for part in around)
        except Exception as error:
            # A bug in the connector must not cost what it refused.
            log.error(
                "connector_failed",
                connector=connector.name,
                error=type(error).__name__,
                where=error_location(error),
            )
            return None
        return self._replace(before=before, after=after)

    def request(self, payload: bytes) -> Request:
        """Return the request for a payload. It shows no key: it is not to be verified."""
        body = self.before + payload + self.after
        return Request("POST", self.path, "", self.path, self.headers, body)


class Origins:
    """The origins of one request's refusals; the work for each request is done once."""

    def __init__(
        self,
        source: str,
        connector: Reader,
        request: Request,
        problem: Rejection | None = None,
    ) -> None:
        """`source`: its name; `problem`: the reason why the body could not be read whole, if so."""
        self._source = source
        self._connector = connector
        self._request = request
        self._problem = problem
        self._known: dict[Form, Origin] = {}

    def of(self, rejection: Rejection) -> Origin:
        """Return the origin of a rejection's payload."""
        if self._problem is not None:
            # Too large: a part is missing. Otherwise the body is complete, as it was sent.
            form: Form = "cut" if self._problem.reason == "too_large" else "body"
        else:
            form = "body" if rejection.payload == self._request.body else "event"
        if form not in self._known:
            self._known[form] = self._origin(form)
        return self._known[form]

    def _origin(self, form: Form) -> Origin:
        context = ReplayContext(self._request.path, dict(self._headers()))
        if form != "event":
            return self._made(form, context)
        alone = context.alone(self._connector, self._request)
        return self._made("", context) if alone is None else self._made("event", alone)

    def _made(self, form: Form, context: ReplayContext) -> Origin:
        shown = ReplayContext(
            context.path,
            context.headers,
            self.masked(context.before),
            self.masked(context.after),
        )
        return Origin(form, self._source, self._connector.name, shown.text())

    def masked(self, content: bytes) -> bytes:
        """Return what may be kept of some bytes: those without the secrets of the source."""
        return masked(content, self._connector.masked)

    def _headers(self) -> Iterator[tuple[str, str]]:
        for name, value in self._request.headers.items():
            encoded = name == ENCODING and self._problem is not None
            if encoded or any(_named(name, read) for read in self._connector.reads):
                yield name, value


def _named(name: str, read: str) -> bool:
    return name.startswith(read) if read.endswith("-") else name == read
