"""The gateway for tests of its paths."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.gateway import Gateway, serving


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway with the sources of `tests.support.gateway`."""
    async with serving() as running:
        yield running
