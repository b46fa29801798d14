"""The error catalogue: every key that a rejection or a dead letter can name, with its code.

Codes are HTTP-like statuses. Only the standard library is used, so that the pure core may import
it.
"""

from __future__ import annotations

from typing import Final

REQUEST_ID_CONFLICT: Final = "request_id_conflict"
INVALID_PAYLOAD: Final = "invalid_payload"
INVALID_EXPIRATION_DATE: Final = "invalid_expiration_date"
ZERO_POINTS: Final = "zero_points"
UNKNOWN_PROGRAM: Final = "unknown_program"
PROGRAM_INACTIVE: Final = "program_inactive"
PROGRAM_REQUIRED: Final = "program_required"
NOT_PERMITTED: Final = "not_permitted"
MEMBER_NOT_FOUND: Final = "member_not_found"
NOT_ENROLLED: Final = "not_enrolled"
INVALID_IDENTIFIER_TYPE: Final = "invalid_identifier_type"
MEMBER_INACTIVE: Final = "member_inactive"
UNKNOWN_CURRENCY: Final = "unknown_currency"
DECIMAL_PLACES_EXCEEDED: Final = "decimal_places_exceeded"
REASON_REQUIRED: Final = "reason_required"
INVALID_REASON_CODE: Final = "invalid_reason_code"
INVALID_SOURCE: Final = "invalid_source"
ORDINAL_USED: Final = "ordinal_used"
ORDINAL_GAP: Final = "ordinal_gap"
VERSION_MISMATCH: Final = "version_mismatch"
INVALID_AWARD_TYPE: Final = "invalid_award_type"
INVALID_AWARD: Final = "invalid_award"
INVALID_PROMOTION: Final = "invalid_promotion"
UNKNOWN_REQUEST: Final = "unknown_request"
UNKNOWN_HOLD: Final = "unknown_hold"
ALREADY_REVERSED: Final = "already_reversed"
HOLD_ENDED: Final = "hold_ended"
LIMIT_EXCEEDED: Final = "limit_exceeded"
INSUFFICIENT_POINTS: Final = "insufficient_points"

MALFORMED_JSON: Final = "malformed_json"
NOT_UTF8: Final = "not_utf8"
UNSUPPORTED_CONTENT_TYPE: Final = "unsupported_content_type"
UNKNOWN_TYPE: Final = "unknown_type"
TOO_LARGE: Final = "too_large"
MISSING_REQUEST_ID: Final = "missing_request_id"
MISSING_MEMBER_ID: Final = "missing_member_id"
ROUTING_KEY_MISMATCH: Final = "routing_key_mismatch"
DECRYPTION_FAILED: Final = "decryption_failed"
KILLED_THE_WORKER: Final = "killed_the_worker"

# The reasons for which the worker makes a dead letter. `invalid_payload` is one too, for ids that
# can be read but are invalid. All but `routing_key_mismatch` can also be a stored rejection's key:
# that of a message whose programme, member and request id are valid all the same.
DEAD_LETTER_KEYS: Final = (
    MALFORMED_JSON,
    NOT_UTF8,
    UNSUPPORTED_CONTENT_TYPE,
    UNKNOWN_TYPE,
    TOO_LARGE,
    MISSING_REQUEST_ID,
    MISSING_MEMBER_ID,
    ROUTING_KEY_MISMATCH,
    DECRYPTION_FAILED,
    KILLED_THE_WORKER,
)

# The keys of rejections stand in the order in which the faults are looked for; those that only
# come with a dead letter follow.
ERRORS: Final[dict[str, int]] = {
    REQUEST_ID_CONFLICT: 409,
    INVALID_PAYLOAD: 400,
    INVALID_EXPIRATION_DATE: 400,
    ZERO_POINTS: 400,
    UNKNOWN_PROGRAM: 404,
    PROGRAM_INACTIVE: 423,
    PROGRAM_REQUIRED: 400,
    NOT_PERMITTED: 403,
    MEMBER_NOT_FOUND: 404,
    NOT_ENROLLED: 404,
    INVALID_IDENTIFIER_TYPE: 400,
    MEMBER_INACTIVE: 423,
    UNKNOWN_CURRENCY: 404,
    DECIMAL_PLACES_EXCEEDED: 400,
    REASON_REQUIRED: 400,
    INVALID_REASON_CODE: 400,
    INVALID_SOURCE: 400,
    ORDINAL_USED: 409,
    ORDINAL_GAP: 409,
    VERSION_MISMATCH: 409,
    INVALID_AWARD_TYPE: 400,
    INVALID_AWARD: 404,
    INVALID_PROMOTION: 404,
    UNKNOWN_REQUEST: 404,
    UNKNOWN_HOLD: 404,
    ALREADY_REVERSED: 409,
    HOLD_ENDED: 409,
    LIMIT_EXCEEDED: 422,
    INSUFFICIENT_POINTS: 422,
    MALFORMED_JSON: 400,
    NOT_UTF8: 400,
    UNSUPPORTED_CONTENT_TYPE: 415,
    UNKNOWN_TYPE: 400,
    TOO_LARGE: 413,
    MISSING_REQUEST_ID: 400,
    MISSING_MEMBER_ID: 400,
    ROUTING_KEY_MISMATCH: 400,
    DECRYPTION_FAILED: 400,
    KILLED_THE_WORKER: 500,
}
