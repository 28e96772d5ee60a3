"""A configured source, as far as reading its requests or rows needs it."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.connector import Reader
from ingest.intake.accept import SourcePolicy
from ingest.intake.plan import Plan


@dataclass(frozen=True, slots=True)
class ReadableSource:
    """A source whose requests, or rows as requests, can be read again and again."""

    #: The reader of its requests or rows.
    connector: Reader
    #: The settings that hold for all of its touches.
    policy: SourcePolicy
    #: The tracking plan that its events are compared with.
    plan: Plan | None = None

    @property
    def name(self) -> str:
        """The source's name in `touchline.yaml`."""
        return self.policy.name
