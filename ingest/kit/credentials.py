"""Credentials of providers that sign nothing: they show a password, a header of ours, or both."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from ingest.connector import Options, Request, secrets
from ingest.kit.signing import RequiredSecrets, basic_credentials, is_one_of


class CredentialOptions(Options):
    """`password` (with `username`): the HTTP Basic password in the webhook's address; `token`: the
    value of the webhook's header `header`. If both are given both must be right.
    """

    username: Annotated[str, StringConstraints(pattern=r"^[^:]+$")] = "touchline"
    password: RequiredSecrets | None = None
    header: Annotated[str, StringConstraints(min_length=1, to_lower=True)] = "x-touchline-token"
    token: RequiredSecrets | None = None


class Credentials:
    """The credentials of a source, of which there may be none."""

    def __init__(self, options: CredentialOptions) -> None:
        passwords = secrets(options.password) if options.password is not None else ()
        self._basic = tuple(options.username.encode() + b":" + one for one in passwords)
        self._tokens = secrets(options.token) if options.token is not None else ()
        self._header = options.header

    def shown_by(self, request: Request) -> bool:
        """Return True if a request shows all that the source asks for, and it asks for any."""
        basic = not self._basic or is_one_of(basic_credentials(request), self._basic)
        shown = request.headers.get(self._header, "").encode("utf-8", "replace")
        token = not self._tokens or is_one_of(shown, self._tokens)
        return bool(self._basic or self._tokens) and basic and token
