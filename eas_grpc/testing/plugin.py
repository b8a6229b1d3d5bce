"""The pytest plugin. pytest imports this file at every start, so what is heavy is imported by the fixture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from eas_grpc.testing._served import Serve

__all__ = ["eas_serve"]


@pytest.fixture
def eas_serve() -> Iterator[Serve]:
    """Serves what a function registers, on a free port of this machine: `served = eas_serve(register)`.

    Gives a `Served`: `served.channel` for generated stubs, `served.connect(token="wrong")` for another
    channel, `served.connect_aio()` for an asyncio one. Servers and channels end with the test.
    """
    from eas_grpc.testing._served import serving_until_the_end

    with serving_until_the_end() as serve:
        yield serve
