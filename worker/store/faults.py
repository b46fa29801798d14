"""What can go wrong in the database, told apart by what to do about it.

`StoreFault`
 ├─ `PassingFault`     a server away, a lock, a time-out: try again, nothing was done
 │   └─ `RefusedFault`   wrong user, password, database or privileges: passes when somebody acts
 └─ `RequestFault`     the data of one request: split the batch until it stands alone

Anything else is a bug and is not caught.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator


class StoreFault(Exception):
    """The database did not do what it was asked."""


class PassingFault(StoreFault):
    """A fault that passes. `timed_out`: what was asked took too long, so ask for less."""

    def __init__(self, cause: BaseException, *, timed_out: bool = False) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}".splitlines()[0])
        self.timed_out = timed_out


class RefusedFault(PassingFault):
    """The database answers and says no; a worker that starts need not wait for another answer."""


class RequestFault(StoreFault):
    """The database cannot hold what a request of the batch brings; `rule` names what refused."""

    def __init__(self, cause: BaseException, rule: str) -> None:
        super().__init__(f"{type(cause).__name__} ({rule})")
        self.rule = rule


_TIMED_OUT = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    TimeoutError,
    asyncio.TimeoutError,
)
_PASSING = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,  # Admin shutdown, crash shutdown, starting up.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,  # Deadlock, serialization failure.
    asyncpg.InvalidTransactionStateError,
    asyncpg.UniqueViolationError,  # Of our own keys: another worker was faster.
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ObjectInUseError,
)
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
_OF_THE_REQUEST = (
    asyncpg.DataError,  # Also what asyncpg itself cannot encode.
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    UnicodeEncodeError,
    OverflowError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the driver raises as one of our faults, the cause kept; let bugs through."""
    try:
        yield
    except _TIMED_OUT as error:
        raise PassingFault(error, timed_out=True) from error
    except asyncpg.InvalidCachedStatementError as error:
        raise PassingFault(error) from error
    except _OF_THE_REQUEST as error:
        if isinstance(error, asyncpg.UniqueViolationError):
            raise PassingFault(error) from error
        rule = getattr(error, "constraint_name", None) or "data type"
        raise RequestFault(error, rule) from error
    except _REFUSED as error:
        raise RefusedFault(error) from error
    except _PASSING as error:
        # What asyncpg cannot encode is an InterfaceError as well as a ValueError.
        if isinstance(error, ValueError):
            raise RequestFault(error, "data type") from error
        raise PassingFault(error) from error
