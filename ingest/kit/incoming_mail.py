"""Who wrote an incoming e-mail and what it is: one rule for every door through which mails come.

The company's own addresses are never a customer's: where the sender is one (a form on its site, an
agent who sends a copy), the customer is whoever an answer would go to. Mails that programs sent,
and reports about the company's own mails, are told apart from what people write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, StringConstraints

from ingest.kit.fields import MARKETING, Payload, identifiers, label, snake_case
from ingest.kit.mail_addresses import address, mailboxes
from ingest.kit.mail_message import DELIVERY_STATUS, DISPOSITION, FEEDBACK, Mail, Receiver
from ingest.kit.mail_providers import companys, is_inbound_service
from schemas.identifiers import IdentityPolicy
from schemas.rejection import Rejection


def _listed(given: object) -> object:
    return given.replace(",", " ").split() if isinstance(given, str) else given


#: Option: the domains of the company, or one; none: that of the address which received the mail.
OwnDomains = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, to_lower=True)], ...],
    BeforeValidator(_listed),
]

#: Action in a report -> type and direction.
_ACTIONS = {
    "failed": ("email_bounced", "outbound"),
    "delayed": ("email_deferred", "outbound"),
    "delivered": ("email_delivered", "outbound"),
    "relayed": ("email_delivered", "outbound"),
    "expanded": ("email_delivered", "outbound"),
    "complained": ("email_complained", "inbound"),
    "displayed": ("email_opened", "inbound"),
}
#: First digit of a status code -> outcome.
_CLASSES = {"5": "permanent", "4": "transient"}
#: Headers in which servers on the way note the address that took the mail, on top the last one.
_DELIVERED_TO = ("Delivered-To", "X-Original-To", "X-Forwarded-For")
#: Headers of the one who wrote a mail, the first that names somebody else than the company counts.
#: Google Groups puts itself into From, and the writer into the last.
_WRITERS = ("From", "Reply-To", "X-Original-From")
#: Longer ids are shortened to a digest.
_ID_LENGTH = 400
_OWN = "is an address of the company's own domain"
_POLICY = IdentityPolicy()


class Own:
    """The addresses of the company: some by themselves, and all in its domains and below these."""

    def __init__(self, domains: Iterable[str], addresses: Iterable[str] = ()) -> None:
        self._domains = frozenset(map(_domain, domains))
        self._addresses = frozenset(map(_normal, addresses))

    @classmethod
    def receiving(cls, domains: OwnDomains, envelope: Iterable[str | None], mail: Mail) -> Own:
        """Return the company's addresses by a mail that it received.

        `domains`: the option, which decides if it is set. `envelope`: the addresses to which the
        mail was delivered. Otherwise the domain of these is the company's (`companys`), unless it
        is a public provider's, as anybody's customers are there. Where a service took the mail at
        an address of its own, the first header decides that tells which address it came from.
        """
        taken = [one.address for text in envelope for one in mailboxes(text or "")]
        if domains:
            return cls(domains, taken)
        for source in (taken, *_delivered_to(mail), mail.addresses("To"), mail.addresses("Cc")):
            found = [one for one in source if not is_inbound_service(_domain_of(one))]
            if found:
                return cls(_companys(found), taken)
        return cls((), taken)

    @classmethod
    def mailbox(cls, domains: OwnDomains, username: str) -> Own:
        """Return the company's addresses by the user of a mailbox, an address or only a name."""
        user = [username] if "@" in username else []
        return cls(domains or _companys(user), user)

    def __contains__(self, found: str) -> bool:
        """Return True if an address is the company's."""
        if _normal(found) in self._addresses:
            return True
        domain = _domain_of(found)
        return any(domain == own or domain.endswith(f".{own}") for own in self._domains)

    def __bool__(self) -> bool:
        """Return True if any address is known to be the company's."""
        return bool(self._domains or self._addresses)


def own_receiver(
    own: Own, email: str | None, where: str, fields: Mapping[str, Any], payload: Payload
) -> Rejection | None:
    """Return the rejection of an event about a mail that the company sent to itself, if it is one.

    `where`: the provider's field with the receiver; `fields`: those of the touchpoint.
    """
    if email is None or email not in own:
        return None
    event_id = fields["event_id"]
    shown = event_id if isinstance(event_id, str) else None
    return Rejection("no_identifier", f"{where}: {_OWN}", payload(), shown)


class MailTouch(NamedTuple):
    """A touch that a mail is, as far as the mail itself tells.

    `number`: that of the receiver, in a report on several. `nobody`: the detail of the refusal if
    there is no customer, None if no sender is named; `own`: the mail names only the company.
    """

    type: str
    direction: str
    customer: str | None
    nobody: str | None
    own: bool = False
    number: int | None = None
    outcome: str | None = None
    status: str = ""

    def fields(self, mail_id: str | None) -> dict[str, Any]:
        """Return the fields of a touchpoint that it decides, by the id of the mail."""
        several = mail_id is not None and self.number is not None
        return {
            "event_id": f"{mail_id}:{self.number}" if several else mail_id,
            "channel": "email",
            "type": self.type,
            "direction": self.direction,
            "identifiers": identifiers(("email", self.customer)),
            "outcome": self.outcome,
            "consent": {MARKETING: False} if self.type == "email_complained" else {},
        }

    @property
    def properties(self) -> dict[str, Any]:
        """The status code of a report."""
        return {"status": label(self.status)} if self.status else {}


def event_id_of(message_id: str) -> str:
    """Return the event id of a mail: its Message-ID, in a length that can be stored."""
    text = message_id.encode("utf-8", "replace").decode()
    return text if len(text) <= _ID_LENGTH else sha256(text.encode()).hexdigest()


def touches(mail: Mail, own: Own, provider: str) -> Iterator[MailTouch]:
    """Yield the touch of a mail; for a report one for each receiver that it is about.

    `provider` begins the types of reports that are not known.
    """
    replies = mail.is_reply_of_a_program
    if mail.report is not None or (mail.is_of_the_mail_system and not replies):
        yield from _report(mail, own, provider)
        return
    kind = "email_received"
    if replies:
        kind = "email_auto_replied"
    elif mail.is_of_a_program:
        kind = "email_auto_generated"
    named = [one for name in _WRITERS for one in mail.addresses(name)]
    writer = next((one for one in named if one not in own), None)
    nobody = f"From: {_OWN}" if named else None
    yield MailTouch(kind, "inbound", writer, nobody, own=bool(named))


def _report(mail: Mail, own: Own, provider: str) -> Iterator[MailTouch]:
    receivers = [one for one in mail.receivers() if one.address not in own]
    for number, receiver in enumerate(receivers or [Receiver("")]):
        kind, direction = _ACTIONS.get(receiver.action) or _other(mail, receiver, provider)
        yield MailTouch(
            kind,
            direction,
            receiver.address or None,
            "the report: names no receiver",
            number=number if len(receivers) > 1 else None,
            outcome=_CLASSES.get(receiver.status[:1]),
            status=receiver.status,
        )


def _other(mail: Mail, receiver: Receiver, provider: str) -> tuple[str, str]:
    if mail.report == DISPOSITION:
        return f"{provider}_disposition_{snake_case(receiver.action) or 'unknown'}", "inbound"
    kind = receiver.action if mail.report in (DELIVERY_STATUS, FEEDBACK) else mail.report or ""
    return f"{provider}_{snake_case(kind) or 'report'}", "outbound"


def _delivered_to(mail: Mail) -> Iterator[list[str]]:
    for name in _DELIVERED_TO:
        words = mail.raw(name).replace(",", " ").split()
        yield [one for word in words if (one := address(word))]


def _companys(addresses: Iterable[str]) -> list[str]:
    return [domain for one in addresses for domain in companys(_domain_of(one))]


def _domain_of(found: str) -> str:
    return _domain(found.rpartition("@")[2])


@lru_cache(maxsize=4096)
def _domain(text: str) -> str:
    """Return a domain in the form in which identifiers have it."""
    plain = text.strip().rstrip(".").lower()
    normal = _POLICY.normalize("email", f"a@{plain}", None)
    return normal.value.rpartition("@")[2] if normal is not None else plain


@lru_cache(maxsize=4096)
def _normal(found: str) -> str:
    normal = _POLICY.normalize("email", found, None)
    return normal.value if normal is not None else found.lower()
