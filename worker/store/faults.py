"""What can go wrong in the database, told apart by what to do about it.

`StoreFault`
 ├─ `PassingFault`     a server away, a lock, a time-out: try again, nothing was done
 │   └─ `RefusedFault`   wrong user, password, database or privileges: passes when somebody acts
 └─ `RequestFault`     the data of one request: split the batch until it stands alone

Anything else is a bug and is not caught.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.store.keys import RequestKey


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
    """The database cannot hold what a request of the batch brings; `rule` names what refused.

    It may as well be one of `waiting`, which waited for their turn and may have had it now.
    """

    def __init__(self, cause: BaseException, rule: str, waiting: Sequence[RequestKey]) -> None:
        super().__init__(f"{type(cause).__name__} ({rule})")
        self.rule = rule
        self.waiting = waiting


_TIMED_OUT = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # What the server says when it has run out of transaction numbers: no request's fault.
    asyncpg.ProgramLimitExceededError,
    TimeoutError,
)
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidParameterValueError,  # SET ROLE to a role that is missing.
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
    asyncpg.InvalidCachedStatementError,
    asyncpg.UniqueViolationError,  # Of our own keys: another worker was faster.
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # A database that takes no connections now.
)
_OF_THE_REQUEST = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    UnicodeEncodeError,
    OverflowError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the driver raises as a PassingFault, the cause kept; let bugs through."""
    try:
        yield
    except _TIMED_OUT as error:
        raise PassingFault(error, timed_out=True) from error
    except _REFUSED as error:
        raise RefusedFault(error) from error
    except _PASSING as error:
        raise PassingFault(error) from error


@contextmanager
def blamed(waiting: Sequence[RequestKey]) -> Iterator[None]:
    """Raise what only the data of the batch, or of what waits, can have caused as a RequestFault.

    For the batch's own statements alone: the same errors while a connection is being prepared say
    something about the database, and nobody's request may be refused for that.
    """
    try:
        yield
    except asyncpg.UniqueViolationError:
        raise
    except asyncpg.InterfaceError as error:
        # What asyncpg cannot encode is an InterfaceError as well as a ValueError.
        if not isinstance(error, ValueError):
            raise
        raise RequestFault(error, "data type", waiting) from error
    except _OF_THE_REQUEST as error:
        rule = getattr(error, "constraint_name", None) or "data type"
        raise RequestFault(error, rule, waiting) from error
