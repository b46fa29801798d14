"""What identifies the things in the books: tuples in the order of the tables' keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import date


class MemberKey(NamedTuple):
    """A member of a programme."""

    program_id: str
    member_id: str


class RequestKey(NamedTuple):
    """A request: ids are unique per member of a programme."""

    program_id: str
    member_id: str
    request_id: str

    @property
    def member(self) -> MemberKey:
        """The member that the request is about."""
        return MemberKey(self.program_id, self.member_id)


class WalletKey(NamedTuple):
    """A wallet of a member."""

    program_id: str
    member_id: str
    currency: str
    category: str

    @property
    def member(self) -> MemberKey:
        """The member whose wallet it is."""
        return MemberKey(self.program_id, self.member_id)


class OperatorKey(NamedTuple):
    """A day, in the programme's zone, of an operator, for one currency; over all members."""

    program_id: str
    operator: str
    currency: str
    day: date
