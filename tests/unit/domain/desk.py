"""A desk at which a test hands in requests, one after the other, and is told what came of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from schemas.reading import read_json, write_json
from schemas.request import AdjustmentRequest
from worker.domain.decide import decide
from worker.domain.document import from_document
from worker.domain.member import Arrival, Member
from worker.domain.ordinals import Parking

if TYPE_CHECKING:
    from worker.domain.outcome import Decision, Outcome, Rejection
    from worker.domain.program import Program
    from worker.domain.wallet import Wallet

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
DAY = 24 * 60 * 60


def moment(text: str) -> datetime:
    """A time as RFC 3339 has it, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def request(**fields: Any) -> AdjustmentRequest:
    """A valid request, read as the worker reads it; `member_id` need not be given."""
    body = write_json({"member_id": "m", **fields})
    return AdjustmentRequest.model_validate(read_json(body))


def programme(**document: Any) -> Program:
    """The programme `acme`; one currency `points` without decimals where nothing else is said."""
    return from_document("acme", 1, {"currencies": [{"code": "points"}], **document})


def in_currency(code: str = "points", decimals: int = 0, **expiry: Any) -> Program:
    """The programme `acme` with one currency, its points never expiring where no rule is given."""
    return programme(currencies=[{"code": code, "decimals": decimals, "expiry": expiry}])


class Desk:
    """One member of a programme; requests get the ids r1, r2, r3 … and come at `now`."""

    def __init__(self, program: Program | None = None, *, now: datetime = NOW) -> None:
        self.program: Program | None = program or programme()
        self.member = Member("acme", "m", is_whole=True)
        self.now = now
        self.parking = Parking()
        self.publisher: str | None = None
        self.asked = 0

    def decide(
        self,
        points: object = None,
        *,
        refusal: Rejection | None = None,
        is_trusted: bool = False,
        **fields: Any,
    ) -> Decision:
        """Hand in a request, or one with a refusal, and return the whole decision."""
        self.asked += 1
        if points is not None:
            fields["points"] = points
        ordinal = fields.get("ordinal")
        arrival = Arrival(
            f"r{self.asked}",
            None if refusal else request(**fields),
            b"",
            refusal=refusal,
            ordinal=ordinal and (fields.get("ordinal_stream", ""), ordinal),
            publisher=self.publisher,
            is_trusted=is_trusted,
        )
        return decide(self.program, self.member, arrival, self.now, self.parking)

    def outcomes(self, points: object = None, **fields: Any) -> list[Outcome]:
        """Hand in a request and return all that came of it, in order."""
        return [step.outcome for step in self.decide(points, **fields).steps]

    def ask(self, points: object = None, **fields: Any) -> Outcome:
        """Hand in a request and return its own outcome."""
        return self.decide(points, **fields).own

    def adjust(self, points: object, **fields: Any) -> Outcome:
        """Hand in an `ADJUST` and return its own outcome."""
        return self.ask(points, **fields)

    def refusal(self, points: object = None, **fields: Any) -> str | None:
        """Hand in a request and return the key with which it was refused, None if it was not."""
        rejection = self.ask(points, **fields).rejection
        return rejection.key if rejection else None

    @property
    def wallet(self) -> Wallet:
        """The member's wallet of the category `REGULAR` in the programme's first currency."""
        assert self.program is not None
        return self.member.wallet(self.program.currencies[0].code, "REGULAR")

    @property
    def open_lots(self) -> list[tuple[int, int]]:
        """The wallet's lots in the order of use, as (lot id, what is left)."""
        return [(lot.lot_id, lot.remaining) for lot in self.wallet.lots]


def custom(moment_or_day: str) -> dict[str, str]:
    """The fields of a credit that expires then."""
    return {"expiration_type": "CUSTOM_DATE", "expiration_date": moment_or_day}
