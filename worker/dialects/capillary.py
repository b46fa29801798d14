"""Capillary's `negativePointsAdjustment`: points and alternate currencies are deducted.

The body is that of `POST v2/customers/{userId}/negativePointsAdjustment`. Its path and query are
headers: `user-id`, or `identifier-name` and `identifier-value` as in the lookup form, and
`source`. The body's `programId` names the programme, before the header `program-id`; a body that
cannot be read names none.

The 13 codes of the vendor's page and the `400 Input is invalid` of a newer one are answered in the
vendor's own words. Where the vendor publishes no code, the same envelope holds the worker's code
and message, one error for each fault.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, Final, get_args

from schemas import dialects, errors, names, text
from schemas.identity import ID_BYTES_MAX, PROGRAM_ID_RULE, is_program_id
from schemas.numbers import parse
from worker.dialects import capillary_errors
from worker.dialects.capillary_errors import AMOUNT, CURRENCY
from worker.dialects.dialect import (
    Detail,
    Faults,
    Identifier,
    Inbound,
    Refused,
    Undeliverable,
    content_of,
    header,
    invalid,
    object_of,
    program_id_of,
    request_id_of,
)
from worker.domain.outcome import Rejection
from worker.identifiers import VALUE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.domain.program import Program

_USER_ID: Final = "user-id"
_IDENTIFIER_NAME: Final = "identifier-name"
_IDENTIFIER_VALUE: Final = names.IDENTIFIER_VALUE_HEADER
_SOURCE: Final = "source"

# By these names the lookup form takes the user id itself (older text of the vendor).
_NAMES_OF_THE_USER_ID: Final = frozenset({"id", "userId"})

IDENTIFIER_NAMES: Final = ("mobile", "email", "externalId")
"""By these it is looked up whose identifier it is."""

_SOURCES: Final = frozenset(
    {
        "INSTORE", "MARTJACK", "WECHAT", "FACEBOOK", "WEB_ENGAGE", "TMALL",
        "TAOBAO", "JD", "ECOMMERCE", "WEBSITE", "LINE", "ALL",
    }
)  # fmt: skip

_AMOUNTS: Final = ("pointsToBeAdjusted", "valueToBeAdjusted")
_FIELDS: Final = frozenset(
    {
        *_AMOUNTS, "alternateCurrencyName", "pointsAwardedId", "pointsAwardedRefType", "programId",
        "promotionId", "promotionIdentifier", "pointCategoryTypes", "reasonOfReturn",
    }
)  # fmt: skip

_CATEGORIES: Final = get_args(names.Category)
_AWARD_TYPES: Final = get_args(names.AwardType)
_REASON_CHARACTERS_MAX: Final = 50
_REASON_RULE: Final = (
    f"must be a string of at most {_REASON_CHARACTERS_MAX} characters without control characters"
)
_PROMOTION_ID_DIGITS_MAX: Final = 9
_AVAILABLE_DECIMALS: Final = Decimal("0.001")


class Capillary:
    """The dialect `capillary.negative_points_adjustment`."""

    name: Final = dialects.CAPILLARY

    def read(
        self, document: object, headers: Mapping[str, object], message_id: str | None
    ) -> Inbound:
        """Read whose request it is. Raises Undeliverable."""
        request_id = request_id_of(message_id)
        member_id, identifier = _customer(headers)
        body = document if type(document) is dict else {}
        source = headers.get(_SOURCE)
        parameters = {} if source is None else {_SOURCE: _plain(source)}
        return Inbound(
            program_id=_program_id(body, headers),
            request_id=request_id,
            member_id=member_id,
            identifier=identifier,
            document=document,
            content=content_of(self.name, document, amounts=_AMOUNTS, parameters=parameters),
            context=_context(body),
            parameters=parameters,
        )

    def translate(self, inbound: Inbound, program: Program | None) -> dict[str, Any]:  # noqa: ARG002
        """Return an ADJUST by the amount with its sign turned. Raises Refused."""
        body = object_of(inbound.document)
        faults = Faults()
        faults.unknown(body, _FIELDS)
        fields: dict[str, Any] = {"operation": names.ADJUST}
        _read_amount(body, faults, fields)
        _read_aim(body, faults, fields)
        category = body.get("pointCategoryTypes")
        if category is not None and category not in _CATEGORIES:
            faults.add("pointCategoryTypes", f"must be one of {', '.join(_CATEGORIES)}", category)
        fields["category"] = category
        fields["reason"] = reason = body.get("reasonOfReturn")
        if reason is not None and not _is_reason(reason):
            faults.add("reasonOfReturn", _REASON_RULE, reason)
        faults.refuse()
        fields["source"] = inbound.parameters.get(_SOURCE)
        _refuse_what_has_a_code(body, fields)
        return {name: value for name, value in fields.items() if value is not None}

    def reply(
        self, outcome: Mapping[str, Any], context: Mapping[str, str], program: Program | None
    ) -> dict[str, Any]:
        """Return `pointsAvailable` or `valueAvailable` after the deduction, or the errors.

        What is available is the balance less what is held, as a text with three decimals; of a
        currency with more, the rest is cut off downwards.
        """
        if outcome["error"] is not None:
            return capillary_errors.of_outcome(outcome, context, program)
        currency = context.get(CURRENCY)
        available = Decimal(outcome["available"]).quantize(_AVAILABLE_DECIMALS, ROUND_FLOOR)
        return {
            "status": "success",
            "pointsAvailable" if currency is None else "valueAvailable": f"{available:f}",
            "message": f"{currency or 'points'} deducted successfully for the user ",
            "warnings": list(outcome["warnings"]),
        }

    def error(
        self,
        key: str,
        message: str,
        context: Mapping[str, str],  # noqa: ARG002
        details: Sequence[Detail] = (),
    ) -> dict[str, Any]:
        """Return the errors of a message that became a dead letter."""
        return capillary_errors.envelope(key, f"{message}.", details, {})


def _customer(headers: Mapping[str, object]) -> tuple[str | None, Identifier | None]:
    """Return the customer's member id or identifier, of which one is None."""
    member_id = header(headers, names.MEMBER_ID_HEADER)
    user_id = header(headers, _USER_ID) or member_id
    if member_id not in {None, user_id}:
        raise Undeliverable(
            errors.INVALID_PAYLOAD, f"headers {_USER_ID} and {names.MEMBER_ID_HEADER} differ"
        )
    kind = header(headers, _IDENTIFIER_NAME)
    value = header(headers, _IDENTIFIER_VALUE)
    if user_id is not None:
        if kind is not None or value is not None:
            raise Undeliverable(
                errors.INVALID_PAYLOAD,
                f"header {_USER_ID} excludes {_IDENTIFIER_NAME} and {_IDENTIFIER_VALUE}",
            )
        return _checked_id(_USER_ID, user_id), None
    if kind is None and value is None:
        raise Undeliverable(
            errors.MISSING_MEMBER_ID,
            f"header {_USER_ID}, or {_IDENTIFIER_NAME} and {_IDENTIFIER_VALUE}, is required",
        )
    if kind in _NAMES_OF_THE_USER_ID or kind in IDENTIFIER_NAMES:
        if value is None:
            raise Undeliverable(errors.MISSING_MEMBER_ID, f"header {_IDENTIFIER_VALUE} is required")
        if kind in _NAMES_OF_THE_USER_ID:
            return _checked_id(_IDENTIFIER_VALUE, value), None
        return None, Identifier(kind, _checked_id(_IDENTIFIER_VALUE, value, VALUE_BYTES_MAX))
    raise Undeliverable(
        errors.INVALID_IDENTIFIER_TYPE,
        f"header {_IDENTIFIER_NAME} must be one of externalId, mobile, email, id, userId",
    )


def _checked_id(name: str, value: str, bytes_max: int = ID_BYTES_MAX) -> str:
    if not text.is_text(value, 1, bytes_max):
        raise invalid(f"header {name}", text.text_rule(1, bytes_max), value)
    return value


def _program_id(body: Mapping[str, Any], headers: Mapping[str, object]) -> str:
    """Return the body's `programId`, an integer at the vendor's, else that of the header."""
    program_id = body.get("programId")
    if program_id is None:
        return program_id_of(headers)
    if type(program_id) is int:
        program_id = str(program_id)
    if not is_program_id(program_id):
        raise invalid("programId", PROGRAM_ID_RULE, program_id)
    return program_id


def _plain(value: object) -> object:
    """Return a header's value as something that JSON has."""
    return value if isinstance(value, str | int | bool) else type(value).__name__


def _context(body: Mapping[str, Any]) -> dict[str, str]:
    context: dict[str, str] = {}
    for name in _AMOUNTS:
        try:
            parse(body.get(name))
        except ValueError:
            continue
        context[AMOUNT] = str(body[name])
    currency = body.get("alternateCurrencyName")
    if text.is_text(currency, 1, 64):
        context[CURRENCY] = currency
    return context


def _read_amount(body: Mapping[str, Any], faults: Faults, fields: dict[str, Any]) -> None:
    """Read `pointsToBeAdjusted`, or `valueToBeAdjusted` of the alternate currency.

    The vendor calls it an integer and sends strings with decimals: all are taken.
    """
    points, value = (body.get(name) for name in _AMOUNTS)
    currency = faults.text("alternateCurrencyName", body.get("alternateCurrencyName"), 1, 64)
    if points is None and value is None:
        faults.add("pointsToBeAdjusted", "is required, or valueToBeAdjusted")
    elif points is not None and value is not None:
        faults.add("valueToBeAdjusted", "excludes pointsToBeAdjusted", value)
    elif value is not None and body.get("alternateCurrencyName") is None:
        faults.add("alternateCurrencyName", "is required with valueToBeAdjusted")
    elif points is not None and currency is not None:
        faults.add("alternateCurrencyName", "goes with valueToBeAdjusted only", currency)
    for name, sent in zip(_AMOUNTS, (points, value), strict=True):
        amount = faults.magnitude(name, sent)
        if amount is not None:
            fields["points"] = str(amount._replace(digits=-amount.digits))
    fields["currency"] = currency


def _read_aim(body: Mapping[str, Any], faults: Faults, fields: dict[str, Any]) -> None:
    """Read the award or the promotion that the points are to be taken from."""
    award_id, award_type = body.get("pointsAwardedId"), body.get("pointsAwardedRefType")
    if type(award_id) is int:
        award_id = str(award_id)
    fields["award_id"] = faults.text("pointsAwardedId", award_id, 1, ID_BYTES_MAX)
    if award_type is not None and type(award_type) is not str:
        faults.add("pointsAwardedRefType", "must be a string", award_type)
    if award_id is None and award_type is not None:
        faults.add("pointsAwardedId", "is required with pointsAwardedRefType")
    if award_id is not None and award_type is None:
        faults.add("pointsAwardedRefType", "is required with pointsAwardedId")
    fields["award_type"] = award_type
    promotion_id = body.get("promotionId")
    if promotion_id is not None:
        fields["promotion_id"] = _promotion_id(promotion_id)
        if fields["promotion_id"] is None:
            rule = f"must be an integer of at most {_PROMOTION_ID_DIGITS_MAX} digits"
            faults.add("promotionId", rule, promotion_id)
    identifier = body.get("promotionIdentifier")
    fields["promotion_identifier"] = faults.text("promotionIdentifier", identifier, 1, ID_BYTES_MAX)
    if promotion_id is not None and identifier is not None:
        faults.add("promotionIdentifier", "excludes promotionId", identifier)


def _promotion_id(value: object) -> str | None:
    digits = str(value) if type(value) in {int, str} else ""
    if digits.isascii() and digits.isdigit() and len(digits) <= _PROMOTION_ID_DIGITS_MAX:
        return str(int(digits))
    return None


def _is_reason(value: object) -> bool:
    # No character is longer than four bytes.
    return text.is_text(value, 0, 4 * _REASON_CHARACTERS_MAX) and (
        len(value) <= _REASON_CHARACTERS_MAX
    )


def _refuse_what_has_a_code(body: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Refuse what the vendor has a code for, in the order of the contract."""
    if parse(fields["points"]).digits == 0:
        raise Refused(Rejection(errors.ZERO_POINTS, "points must not be zero."))
    if fields["promotion_identifier"] is not None and body.get("programId") is None:
        raise Refused(
            Rejection(errors.PROGRAM_REQUIRED, "promotionIdentifier needs programId beside it.")
        )
    if not (fields["reason"] or "").strip():
        raise Refused(Rejection(errors.REASON_REQUIRED, "reasonOfReturn is required."))
    source = fields["source"]
    if source is not None and source not in _SOURCES:
        raise Refused(
            Rejection(errors.INVALID_SOURCE, "source must be one of those that Capillary lists.")
        )
    award_type = fields["award_type"]
    if award_type is not None and award_type not in _AWARD_TYPES:
        rule = f"must be one of {', '.join(_AWARD_TYPES)}"
        raise Refused(Rejection(errors.INVALID_AWARD_TYPE, f"pointsAwardedRefType {rule}."))
