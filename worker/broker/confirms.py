"""Which publications the broker has taken: one future for a whole flight, not one for each.

On a channel with confirms the broker counts publications from 1 and acknowledges or refuses them
by that number, singly or up to it, in any order. What no queue receives comes back before its
acknowledgement, with nothing in it that says which publication it was. Returns come in the order
of publication, though, so the first unsettled one since the last return with the same exchange
and routing key is the returned one, or one before it that went the very same way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from struct import Struct
from typing import TYPE_CHECKING, Final

from worker.broker.decoding import decode_body_size, decode_returned
from worker.broker.encoding import HEADER_FRAME, METHOD_FRAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.broker.errors import SessionLost
    from worker.broker.messages import Publication

PENDING: Final = 0
TAKEN: Final = 1
REFUSED: Final = 2
RETURNED: Final = 3
_RETURNED_UNSETTLED: Final = 4

_METHOD: Final = Struct(">I").unpack_from
_TAG: Final = Struct(">QB").unpack_from
_ACK: Final = 0x003C0050
_NACK: Final = 0x003C0078
_RETURN: Final = 0x003C0032


class Flight:
    """Publications that were sent together, with consecutive numbers from `first`."""

    def __init__(self, first: int, publications: Sequence[Publication]) -> None:
        self.first = first
        self.publications = publications
        self.verdicts = bytearray(len(publications))
        self.landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unsettled = len(publications)
        self._settled_below = 0
        self._return_from = 0

    @property
    def unsettled(self) -> int:
        """How many of the publications the broker has not answered for yet."""
        return self._unsettled

    def settle(self, number: int, verdict: int, *, multiple: bool) -> None:
        """Note the broker's answer for the publication, or for all up to it."""
        last = min(number - self.first, len(self.verdicts) - 1)
        verdicts = self.verdicts
        for index in range(self._settled_below if multiple else last, last + 1):
            if verdicts[index] == PENDING:
                verdicts[index] = verdict
                self._unsettled -= 1
            elif verdicts[index] == _RETURNED_UNSETTLED:
                verdicts[index] = RETURNED
                self._unsettled -= 1
        if multiple:
            self._settled_below = max(self._settled_below, last + 1)
        if not self._unsettled and not self.landed.done():
            self.landed.set_result(None)

    def note_return(self, exchange: str, routing_key: str) -> bool:
        """Mark the publication that came back; False when it is none of this flight."""
        for index in range(self._return_from, len(self.publications)):
            publication = self.publications[index]
            if (
                self.verdicts[index] == PENDING
                and publication.mandatory
                and publication.routing_key == routing_key
                and publication.exchange == exchange
            ):
                self.verdicts[index] = _RETURNED_UNSETTLED
                self._return_from = index + 1
                return True
        return False


class Confirms:
    """A sink that settles the flights of one publishing channel."""

    def __init__(self) -> None:
        self._flights: deque[Flight] = deque()
        self._next_number = 1
        self._lost: SessionLost | None = None
        self._returned: tuple[str, str] | None = None
        self._missing = 0

    def begin(self, publications: Sequence[Publication]) -> Flight:
        """Give the publications (at least one) the next numbers; they must go out next."""
        if self._lost is not None:
            raise self._lost
        flight = Flight(self._next_number, publications)
        self._next_number += len(publications)
        self._flights.append(flight)
        return flight

    def lose(self, error: SessionLost) -> None:
        """Make every flight raise the error, and `begin` from now on."""
        if self._lost is None:
            self._lost = error
        while self._flights:
            landed = self._flights.popleft().landed
            if not landed.done():
                landed.set_exception(error)
                landed.exception()  # Nobody may be waiting, and that is no fault.

    def frame(self, kind: int, data: bytes, start: int, stop: int) -> bool:
        """Take one frame of the channel; see `worker.broker.wire.Sink`."""
        if kind == METHOD_FRAME:
            method = _METHOD(data, start)[0]
            if method in {_ACK, _NACK}:
                number, flags = _TAG(data, start + 4)
                self._settle(number, TAKEN if method == _ACK else REFUSED, multiple=flags & 1 == 1)
                return True
            if method == _RETURN:
                self._returned = decode_returned(data, start + 4)
                return True
            return False
        if self._returned is None:
            return False
        if kind == HEADER_FRAME:
            self._missing = decode_body_size(data, start)
        else:
            self._missing -= stop - start
        if not self._missing:
            exchange, routing_key = self._returned
            self._returned = None
            any(flight.note_return(exchange, routing_key) for flight in self._flights)
        return True

    def _settle(self, number: int, verdict: int, *, multiple: bool) -> None:
        for flight in self._flights:
            if flight.first > number:
                break
            if multiple or number < flight.first + len(flight.verdicts):
                flight.settle(number, verdict, multiple=multiple)
        while self._flights and self._flights[0].landed.done():
            self._flights.popleft()
