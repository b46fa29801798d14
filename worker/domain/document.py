"""Reads a programme document into the shapes of `worker.domain.program`.

Keys that are absent have the values that documents of older versions meant without them.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from schemas.errors import ERRORS
from schemas.names import DECIMALS_MAX
from schemas.text import is_text, text_rule
from worker.domain.money import to_minor_units
from worker.domain.program import (
    Cap,
    CapPeriod,
    Currency,
    ExpiryRule,
    MastercardDialect,
    Period,
    Permission,
    Program,
    Promotion,
    Publisher,
    Reactor,
    ReasonCode,
)
from worker.domain.table import Fault, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.numbers import Amount

REASON_LENGTH_MAX: Final = 255
"""The longest reason that a request can carry."""
ROLLING_DAYS_MAX: Final = 366
"""The longest rolling period of a cap: for each of its days a sum is read with every request."""
INTRINSIC_EVENT_TYPES: Final = frozenset(
    {
        "REGISTERED_ACCOUNT",
        "PURCHASED_REWARD",
        "CLOSED_ACCOUNT",
        "CONSENT_GIVEN",
        "CONSENT_REVOKED",
        "POINTS_ADJUSTED",
    }
)
"""White Label Loyalty makes these events itself; nobody may send them, so none has a reactor."""

TAKEN_FIELDS: Final = frozenset({"Errors", "encryptedData"})
"""What Mastercard's replies hold beside an answer: its field must not be taken for one of them."""

_PERIODS: Final[tuple[Period, ...]] = get_args(Period)
_CAP_PERIODS: Final[tuple[CapPeriod, ...]] = get_args(CapPeriod)
_PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)
_SIGNS: Final[tuple[Literal["credit", "debit"], ...]] = ("credit", "debit")
_EXPIRY_KEYS: Final = {
    "after": ("days", "months", "years"),
    "end_of": ("period", "after_months"),
}
_NAME_BYTES_MAX: Final = 255
_ID_BYTES_MAX: Final = 128
_CODE_BYTES_MAX: Final = 64


class BadDocument(ValueError):
    """A programme document that would not be kept to the letter; `faults` are all that it has."""

    def __init__(self, program_id: str, faults: list[Fault]) -> None:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        super().__init__(f"programme {program_id}: {faults[0]}{more}")
        self.faults = tuple(faults)


def from_document(program_id: str, version: int, document: Mapping[str, Any]) -> Program:
    """Read a stored programme document.

    Raises BadDocument with every fault where the document is not one that this version knows: a
    rule that would silently not be kept is refused.
    """
    faults: list[Fault] = []
    table = Table(document, (), faults)
    named = table.text("program_id", _CODE_BYTES_MAX, program_id)
    if named and named != program_id:
        table.fault("program_id", f"must be {program_id}", named)
    limits = table.table("limits")
    program = Program(
        program_id=program_id,
        version=version,
        name=table.text("name", _NAME_BYTES_MAX, ""),
        is_active=table.one_of("status", ("active", "inactive")) == "active",
        time_zone=_time_zone(table),
        enrolment_required=table.one_of("enrolment", ("automatic", "required")) == "required",
        allow_negative=table.flag("allow_negative", default=False),
        reason_required=table.one_of("reason", ("optional", "required")) == "required",
        reason_max_length=table.count(
            "reason_max_length", REASON_LENGTH_MAX, least=1, default=REASON_LENGTH_MAX
        ),
        reason_codes=tuple(map(_reason_code, table.tables("reason_codes", "code"))),
        sources=table.texts("sources", _ID_BYTES_MAX),
        currencies=_currencies(table),
        points_per_request=_decimal(limits.limit("points_per_request")),
        points_per_operator_per_day=_decimal(limits.limit("points_per_operator_per_day")),
        promotions=tuple(map(_promotion, table.tables("promotions", "id", "identifier"))),
        reactors=tuple(map(_reactor, table.tables("reactors"))),
        publishers=tuple(map(_publisher, table.tables("publishers", "user_id"))),
        mastercard=_dialects(table.table("dialects")),
    )
    limits.end()
    table.end()
    if faults:
        raise BadDocument(program_id, faults)
    return program


def _time_zone(table: Table) -> ZoneInfo:
    name = table.text("time_zone", _NAME_BYTES_MAX, "UTC")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        if name:
            table.fault("time_zone", "must be a zone that this machine knows", name)
        return ZoneInfo("UTC")


def _currencies(table: Table) -> tuple[Currency, ...]:
    faults_before = len(table.faults)
    currencies = tuple(map(_currency, table.tables("currencies", "code")))
    if not currencies and len(table.faults) == faults_before:
        table.fault("currencies", "must name one at least")
    return currencies


def _currency(table: Table) -> Currency:
    decimals = table.count("decimals", DECIMALS_MAX)
    currency = Currency(
        code=table.text("code", _CODE_BYTES_MAX),
        decimals=decimals,
        expiry=_expiry_rule(table.table("expiry")),
        balance_cap=_minor_units(table, "balance_cap", decimals),
        earn_caps=tuple(_cap(cap, decimals) for cap in table.tables("earn_caps")),
        spend_caps=tuple(_cap(cap, decimals) for cap in table.tables("spend_caps")),
    )
    table.end()
    return currency


def _expiry_rule(table: Table) -> ExpiryRule:
    faults_before = len(table.faults)
    rule = ExpiryRule()
    kind = table.one_of("rule", ("never", "after", "end_of"))
    match kind:
        case "after":
            if not any(key in table for key in _EXPIRY_KEYS[kind]):
                table.fault(None, "needs days, months or years where its rule is after")
            months = table.count("months") + 12 * table.count("years")
            rule = ExpiryRule("after", days=table.count("days"), months=months)
        case "end_of":
            period = table.one_of("period", _PERIODS, is_required=True)
            rule = ExpiryRule("end_of", months=table.count("after_months"), period=period)
        case "never" if len(table.faults) > faults_before:
            return rule  # Which keys go with a rule that there is not, nobody knows.
    for other, keys in _EXPIRY_KEYS.items():
        for key in keys if other != kind else ():
            table.refuse(key, f'goes with rule = "{other}" only')
    table.end()
    return rule


def _cap(table: Table, decimals: int) -> Cap:
    if ("per" in table) == ("rolling_days" in table):
        table.fault(None, "must have per or rolling_days, and not both")
    cap = Cap(
        points=_minor_units(table, "points", decimals, is_required=True) or 0,
        per=table.optional_one_of("per", _CAP_PERIODS),
        rolling_days=(
            table.count("rolling_days", ROLLING_DAYS_MAX, least=1) if "rolling_days" in table else 0
        ),
    )
    table.end()
    return cap


def _minor_units(table: Table, key: str, decimals: int, *, is_required: bool = False) -> int | None:
    """Take an amount of a currency, None where it is absent or wrong."""
    amount = table.limit(key, is_required=is_required)
    if amount is None:
        return None
    points = to_minor_units(*amount, decimals)
    if points is None:
        table.fault(key, f"must have at most {decimals} decimals", str(amount))
    return points


def _decimal(amount: Amount | None) -> Decimal | None:
    return None if amount is None else Decimal(str(amount))


def _reason_code(table: Table) -> ReasonCode:
    code = ReasonCode(
        code=table.text("code", _CODE_BYTES_MAX),
        sign=table.optional_one_of("sign", _SIGNS),
        points_max=_decimal(table.limit("max")),
    )
    table.end()
    return code


def _promotion(table: Table) -> Promotion:
    promotion = Promotion(
        promotion_id=table.text("id", _ID_BYTES_MAX),
        identifier=table.optional_text("identifier", _ID_BYTES_MAX),
    )
    table.end()
    return promotion


def _reactor(table: Table) -> Reactor:
    event_type = table.text("event_type", _ID_BYTES_MAX)
    if event_type in INTRINSIC_EVENT_TYPES:
        table.fault("event_type", "must not be one that White Label Loyalty makes", event_type)
    multiplier = table.amount("multiplier", is_required=True)
    if multiplier is not None and not multiplier.digits:
        table.fault("multiplier", "must not be zero", str(multiplier))
    reactor = Reactor(
        event_type=event_type,
        property=table.text("property", _ID_BYTES_MAX),
        multiplier=_decimal(multiplier) or Decimal(1),
        reason_code=table.optional_text("reason_code", _CODE_BYTES_MAX),
    )
    table.end()
    return reactor


def _publisher(table: Table) -> Publisher:
    user_id = table.text("user_id", _NAME_BYTES_MAX)
    allowed = table.texts("may", _NAME_BYTES_MAX, _PERMISSIONS)
    table.end()
    return Publisher(user_id, frozenset(name for name in _PERMISSIONS if name in allowed))


def _dialects(table: Table) -> MastercardDialect:
    mastercard = table.table("mastercard")
    types = mastercard.table("adjustment_types")
    signs = {}
    for code in types.left():
        if not is_text(code, 1, _CODE_BYTES_MAX):
            types.fault(None, f"has a code that {text_rule(1, _CODE_BYTES_MAX)}", code)
        elif code.isspace():
            types.fault(None, "has a code that is blank, which counts as none", code)
        if (sign := types.optional_one_of(code, _SIGNS)) is not None:
            signs[code] = sign
    codes = mastercard.table("reason_codes")
    field = mastercard.text("response_field", _CODE_BYTES_MAX, MastercardDialect().response_field)
    if field in TAKEN_FIELDS or field.isspace():
        taken = " or ".join(sorted(TAKEN_FIELDS))
        mastercard.fault("response_field", f"must not be blank, {taken}", field)
    dialect = MastercardDialect(
        adjustment_types=MappingProxyType(signs),
        response_field=field,
        reason_codes=MappingProxyType(
            {key: codes.text(key, _CODE_BYTES_MAX) for key in ERRORS if key in codes}
        ),
    )
    for one in (codes, mastercard, table):
        one.end()
    return dialect
