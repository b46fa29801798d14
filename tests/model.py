"""An independent, sequential, obvious model of the rules: what every request must come to.

It reads the same bytes as the worker, one message after the other in the order of publishing, and
shares no code with it: the contract page is written down here a second time, as plainly as
possible, so that the two can be compared. It knows the programme `default` only (currency `points`
without decimals, automatic enrolment, points that never expire by themselves) and no clock: tests
use expiration dates that lie far in the past or far in the future.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)

_ENUMS = {
    "operation": {
        "ADJUST", "SET_BALANCE", "REVERSE", "HOLD", "CAPTURE", "RELEASE", "CONVERT", "EXPIRE",
    },
    "category": {"REGULAR", "PROMISED", "EXTERNAL_TRIGGER_BASED"},
    "expiration_type": {"PROGRAM_RULES", "NON_EXPIRING", "CUSTOM_DATE"},
    "operation_type": {"MANUAL", "AUTOMATIC"},
}  # fmt: skip
_TEXTS = {
    "currency": 64, "award_id": 128, "promotion_id": 128, "promotion_identifier": 128,
    "reason": 255, "reason_code": 64, "comment": 2000, "adjusted_by": 128, "source": 128,
    "source_id": 128, "reverses": 128, "hold": 128, "ordinal_stream": 64,
}  # fmt: skip
_FLAGS = {"bypass_caps", "allow_negative", "dry_run"}
_COUNTS = {"ttl_seconds": 1, "expected_version": 0, "ordinal": 1}
_IDS = {"program_id", "member_id", "request_id"}
_OTHERS = {"points", "expiration_date", "award_type", "occurred_at", "metadata"}
_KNOWN = _IDS | _OTHERS | _FLAGS | set(_ENUMS) | set(_TEXTS) | set(_COUNTS)
_DEFAULTS: dict[str, Any] = {
    "operation": "ADJUST",
    "category": "REGULAR",
    "expiration_type": "PROGRAM_RULES",
    "operation_type": "MANUAL",
    "bypass_caps": False,
    "allow_negative": False,
    "dry_run": False,
}
# What the contract knows and this step does not build yet must be refused, never ignored.
_NOT_BUILT_YET = {
    "award_id", "award_type", "promotion_id", "promotion_identifier", "expected_version",
    "ordinal", "ordinal_stream", "bypass_caps", "dry_run",
}  # fmt: skip


class _Literal(str):
    """A JSON number that is no integer, as it was spelt."""

    __slots__ = ()


@dataclass(frozen=True)
class Expected:
    """What one published message must be answered with.

    `balance`, `available`, `total` and `version` are None where no wallet was reached, `sequence`
    is None where nothing is stored. `lots` are (points put in or taken out, expires_at). `stored`
    tells an outcome, repeated byte for byte, from a conflict, answered afresh each time.
    """

    program_id: str
    member_id: str
    request_id: str
    status: str
    error: str | None = None
    points: int = 0
    balance: int | None = None
    available: int | None = None
    total: int | None = None
    version: int | None = None
    sequence: int | None = None
    lots: tuple[tuple[int, datetime | None], ...] = ()
    stored: bool = True

    @property
    def event_type(self) -> str | None:
        """The type of the event that tells of it, None where there is none."""
        if not self.stored:
            return None
        return "POINTS_ADJUSTED" if self.status == "APPLIED" else "ADJUSTMENT_REJECTED"


@dataclass
class Lot:
    """What is left of one credit; `expires_at` is the first instant it cannot be used."""

    points: int
    expires_at: datetime | None
    age: int


@dataclass
class Wallet:
    """One member's points of one currency and category."""

    lots: list[Lot] = field(default_factory=list)
    deficit: int = 0
    total: int = 0
    version: int = 0

    @property
    def balance(self) -> int:
        """All open lots less what is owed."""
        return sum(lot.points for lot in self.lots) - self.deficit

    def credit(self, points: int, expires_at: datetime | None) -> list[Lot]:
        """Pay what is owed first, keep the rest as a lot; return the lot, if there is one."""
        self.version += 1
        self.total += points
        repaid = min(self.deficit, points)
        self.deficit -= repaid
        made = [Lot(points - repaid, expires_at, self.version)] if points > repaid else []
        self.lots += made
        return made

    def debit(self, points: int) -> list[Lot]:
        """Take the soonest-expiring first, never-expiring last, oldest first among equals."""
        self.version += 1
        taken = []
        never = datetime.max.replace(tzinfo=UTC)
        for lot in sorted(self.lots, key=lambda lot: (lot.expires_at or never, lot.age)):
            part = min(lot.points, points)
            if part:
                taken.append(Lot(-part, lot.expires_at, lot.age))
            lot.points -= part
            points -= part
        self.lots = [lot for lot in self.lots if lot.points]
        self.deficit += points
        return taken


@dataclass
class Member:
    """Everything that one member's answers depend on."""

    sequence: int = 0
    wallets: dict[str, Wallet] = field(default_factory=dict)
    answers: dict[str, tuple[object, Expected]] = field(default_factory=dict)


class Model:
    """All members, and the rules applied to one message after the other."""

    def __init__(self, killers: Collection[str] = ()) -> None:
        """`killers`: ids of requests that kill every worker that tries them."""
        self.members: dict[tuple[str, str], Member] = {}
        self.killers = killers

    def expect(self, body: bytes, message_id: str | None = None) -> Expected:
        """Apply one message whose three ids are valid and return what it must come to."""
        document = json.loads(body, parse_float=_Literal)
        ids: tuple[str, str, str] = (
            document.get("program_id") or "default",
            document["member_id"],
            document.get("request_id") or message_id or "",
        )
        member = self.members.setdefault(ids[:2], Member())
        valid = _is_valid(document)
        content = _content(document) if valid else body
        if ids[2] in member.answers:
            known, answer = member.answers[ids[2]]
            if known == content:
                return answer
            return Expected(*ids, "REJECTED", "request_id_conflict", stored=False)
        answer = self._decide(ids, member, document if valid else None)
        member.sequence += 1
        member.answers[ids[2]] = (content, answer)
        return answer

    def _decide(
        self, ids: tuple[str, str, str], member: Member, document: dict[str, Any] | None
    ) -> Expected:
        sequence = member.sequence + 1
        error = next(_faults_before_the_wallet(document), None)
        error = "killed_the_worker" if ids[2] in self.killers else error
        if error or document is None:
            return Expected(*ids, "REJECTED", error, sequence=sequence)
        points = int(_amount(document["points"]))
        wallet = member.wallets.setdefault(document.get("category") or "REGULAR", Wallet())
        lots: list[Lot] = []
        if points > 0:
            lots = wallet.credit(points, _expires_at(document.get("expiration_date")))
        elif -points <= wallet.balance or document.get("allow_negative"):
            lots = wallet.debit(-points)
        else:
            error, points = "insufficient_points", 0
        return Expected(
            *ids,
            "REJECTED" if error else "APPLIED",
            error,
            points=points,
            balance=wallet.balance,
            available=wallet.balance,
            total=wallet.total,
            version=wallet.version,
            sequence=sequence,
            lots=tuple((lot.points, lot.expires_at) for lot in lots),
        )


def _faults_before_the_wallet(document: dict[str, Any] | None) -> Iterator[str]:
    """The faults, in the contract's order, that need no wallet to be seen."""
    if document is None or document.get("operation") not in {None, "ADJUST"}:
        yield "invalid_payload"
        return
    given = {name: value for name, value in document.items() if value is not None}
    if any(name in _NOT_BUILT_YET and value is not False for name, value in given.items()):
        yield "invalid_payload"
    expires_at = _expires_at(document.get("expiration_date"))
    if expires_at is not None and expires_at <= _NOW:
        yield "invalid_expiration_date"
    points = _amount(document["points"])
    if points == 0:
        yield "zero_points"
    if (document.get("program_id") or "default") != "default":
        yield "unknown_program"
    if (document.get("currency") or "points") != "points":
        yield "unknown_currency"
    if points != points.to_integral_value():
        yield "decimal_places_exceeded"


def _is_valid(document: dict[str, Any]) -> bool:
    """Whether the payload keeps every rule of `schemas.request` that concerns it alone."""
    given = {name: value for name, value in document.items() if value is not None}
    credit = _is_amount(given.get("points")) and _amount(given["points"]) > 0
    return (
        set(document) <= _KNOWN
        and all(given[name] in values for name, values in _ENUMS.items() if name in given)
        and all(_is_text(given[name], size) for name, size in _TEXTS.items() if name in given)
        and all(isinstance(given[name], bool) for name in _FLAGS if name in given)
        and all(_is_count(given[name], low) for name, low in _COUNTS.items() if name in given)
        and ("points" not in given or _is_amount(given["points"]))
        and ("points" in given or given.get("operation", "ADJUST") not in {"ADJUST", "HOLD"})
        and not (given.keys() & {"reverses", "hold", "ttl_seconds"} and "operation" not in given)
        and ("expiration_date" in given) == (given.get("expiration_type") == "CUSTOM_DATE")
        and ("expiration_type" not in given or credit)
        and ("expiration_date" not in given or _is_date(given["expiration_date"]))
        and not {"promotion_id", "promotion_identifier"} <= given.keys()
        and isinstance(given.get("metadata", {}), dict)
    )


def _content(document: dict[str, Any]) -> dict[str, Any]:
    """What makes two requests the same: all that was said, amounts normalised."""
    given = {
        name: value
        for name, value in document.items()
        if name not in _IDS and value is not None and value != _DEFAULTS.get(name)
    }
    if "points" in given:
        given["points"] = _amount(given["points"])
    return given


def _is_amount(value: object) -> bool:
    return type(value) in (int, str, _Literal) and _AMOUNT.fullmatch(str(value)) is not None


def _amount(value: object) -> Decimal:
    return Decimal(str(value)).normalize()


def _is_text(value: object, size: int) -> bool:
    return type(value) is str and not _CONTROL.search(value) and 1 <= len(value.encode()) <= size


def _is_count(value: object, low: int) -> bool:
    return type(value) is int and value >= low


def _is_date(value: object) -> bool:
    if type(value) is not str:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _expires_at(value: str | None) -> datetime | None:
    """The first instant after the last usable day, or the instant itself; the zone is UTC."""
    if value is None:
        return None
    if len(value) == len("2030-12-31"):
        return datetime.combine(date.fromisoformat(value), time(), UTC) + timedelta(days=1)
    instant = datetime.fromisoformat(value)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
