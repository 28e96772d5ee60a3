"""Promises about the interface, and about who may send."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ingest.connector import INTERFACE_VERSION, Options
from ingest.registry import Registry
from ingest.testing.promises.hooks import Hooks
from ingest.testing.values import RECEIVED_MS, damaged
from schemas.times import DAY_MS


class Interface(Hooks):
    """A connector is found, and knows its options."""

    def test_is_found_by_its_entry_point(self) -> None:
        connector = self.make(self.secrets[0])
        assert Registry().load(self.name) is type(connector)
        assert connector.name == self.name
        assert connector.interface == INTERFACE_VERSION
        assert connector.doc
        assert "\n" not in connector.doc
        assert issubclass(connector.options, Options)

    def test_refuses_options_that_it_does_not_know(self) -> None:
        with pytest.raises(ValidationError, match="an_option_of_tomorrow"):
            self.make(self.secrets[0]).options.model_validate({"an_option_of_tomorrow": 1})

    def test_refuses_an_empty_secret(self) -> None:
        for empty in ((), ("",), ("", self.secrets[0])):
            with pytest.raises(ValidationError):
                self.make(*empty)


class Signatures(Hooks):
    """Only the provider's own requests pass."""

    def test_a_signed_request_passes(self) -> None:
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            assert connector.verify(request, RECEIVED_MS), name

    def test_each_of_two_secrets_is_valid_during_a_rotation(self) -> None:
        connector = self.make(*self.secrets[:2])
        name, value = next(iter(self.payloads.items()))
        for secret in self.secrets[:2]:
            request = self.signed(self.encode(value), secret, name)
            assert connector.verify(request, RECEIVED_MS), secret

    def test_a_foreign_secret_is_refused(self) -> None:
        connector = self.make(*self.secrets[:2])
        for name, value in self.payloads.items():
            request = self.signed(self.encode(value), self.secrets[2], name)
            assert not connector.verify(request, RECEIVED_MS), name

    def test_a_request_without_signature_is_refused(self) -> None:
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            for unsigned in self.unsigned(request):
                assert not connector.verify(unsigned, RECEIVED_MS), (name, unsigned)

    def test_a_damaged_signature_is_refused_without_an_exception(self) -> None:
        connector = self.make(self.secrets[0])
        request = next(iter(self.requests().values()))
        # What `parse` reads is no signature; some providers leave it unsigned.
        plain = {"content-encoding", *connector.reads}
        for header in request.headers.keys() - plain:
            for damage in (
                "",
                "x",
                "=",
                "é",
                "\udc80",
                "9" * 5000,
                request.headers[header][:-2] + "!!",
            ):
                headers = {**request.headers, header: damage}
                changed = request._replace(headers=headers)
                assert not connector.verify(changed, RECEIVED_MS), (header, damage)

    def test_a_changed_body_is_refused(self) -> None:
        if not self.signs_body:
            pytest.skip("the provider does not sign all of the body")
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            for changed in damaged(request.body):
                assert not connector.verify(request._replace(body=changed), RECEIVED_MS), name

    def test_an_old_request_is_refused(self) -> None:
        if not self.signs_time:
            pytest.skip("the provider signs no time")
        connector = self.make(self.secrets[0])
        for name, request in self.requests().items():
            assert not connector.verify(request, RECEIVED_MS + 30 * DAY_MS), name
