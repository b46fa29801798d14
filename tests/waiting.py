"""The one place in the tests that waits: for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

POLL_SECONDS = 0.02
DEADLINE_SECONDS = 60.0
"""Long enough for real servers and processes on a slow and busy machine; costs nothing else."""


@overload
async def until(
    condition: Callable[[], Awaitable[T]],
    deadline_seconds: float = ...,
    what: str | Callable[[], str] = ...,
) -> T: ...


@overload
async def until(
    condition: Callable[[], T],
    deadline_seconds: float = ...,
    what: str | Callable[[], str] = ...,
) -> T: ...


async def until(
    condition: Callable[[], T | Awaitable[T]],
    deadline_seconds: float = DEADLINE_SECONDS,
    what: str | Callable[[], str] = "the condition",
) -> T:
    """Poll `condition` until it returns something true, and return that.

    Fails the test when the deadline passes first, saying that `what` did not come about. A
    callable `what` is asked at that moment, so that it can tell how far things got.
    """
    deadline = time.monotonic() + deadline_seconds
    while True:
        seen = condition()
        value = await seen if inspect.isawaitable(seen) else seen
        if value:
            return value
        if time.monotonic() >= deadline:
            missing = what() if callable(what) else what
            raise AssertionError(f"{missing} did not come about within {deadline_seconds:g} s")
        await asyncio.sleep(POLL_SECONDS)
