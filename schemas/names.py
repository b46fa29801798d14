"""Every stable name of the contract, each in one place.

Only the standard library is used here, so that the pure core may import it. The `Literal` types
are the lists of record: the models and the generated documents follow them.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

# Exchanges and queues, each as what follows the configurable prefix ("points" by default).
DEFAULT_PREFIX: Final = "points"
ADJUSTMENTS_SUFFIX: Final = ".adjustments"
DOOR_SUFFIX: Final = ".door"
DEAD_SUFFIX: Final = ".dead"
EVENTS_SUFFIX: Final = ".events"
PARTITION_INFIX: Final = ".partition."

# The AMQP property `type`, one for each kind of message.
REQUEST_TYPE: Final = "adjustment.request.v1"
RESULT_TYPE: Final = "adjustment.result.v1"
ERROR_TYPE: Final = "adjustment.error.v1"

# The AMQP property `content_type`.
JSON_CONTENT_TYPE: Final = "application/json"
EVENT_CONTENT_TYPE: Final = "application/cloudevents+json"

# Headers of events, and of requests that belong to a trace.
MEMBER_ID_HEADER: Final = "member-id"
BUCKET_HEADER: Final = "bucket"
TRACEPARENT_HEADER: Final = "traceparent"

# The header of a vendor's message that names a member by something personal, as a mobile number.
IDENTIFIER_VALUE_HEADER: Final = "identifier-value"

# Headers of dead letters. The original user is also what a forwarded request carries: it names
# the user whom the broker checked when the message was first published, "" where it named none.
ERROR_KEY_HEADER: Final = "x-error-key"
ERROR_MESSAGE_HEADER: Final = "x-error-message"
ORIGINAL_EXCHANGE_HEADER: Final = "x-original-exchange"
ORIGINAL_ROUTING_KEY_HEADER: Final = "x-original-routing-key"
ORIGINAL_QUEUE_HEADER: Final = "x-original-queue"
DIED_AT_HEADER: Final = "x-died-at"
ORIGINAL_USER_ID_HEADER: Final = "x-original-user-id"

# What the door found wrong with the AMQP properties of a request that it sends on without them.
REFUSED_PROPERTY_HEADER: Final = "x-refused-property"

# What the door says of a request that it made of a vendor's message: the dialect and what its reply
# needs (a JSON object with `name`), SHA-256 of what was asked for in hex (none where the body could
# not be read) and of the body (none where the body names the member), and what was found wrong with
# it (a JSON object with `key`, `message` and `details`).
DIALECT_HEADER: Final = "x-dialect"
CONTENT_DIGEST_HEADER: Final = "x-content-digest"
BODY_DIGEST_HEADER: Final = "x-body-digest"
REFUSAL_HEADER: Final = "x-refusal"

# What the door says of a copy that it sends on to see whether it comes back.
DOOR_TRIAL_HEADER: Final = "x-door-trial"

# Headers that are believed only in messages of the worker's own user.
WORKERS_HEADERS: Final = (
    ORIGINAL_USER_ID_HEADER,
    REFUSED_PROPERTY_HEADER,
    DIALECT_HEADER,
    CONTENT_DIGEST_HEADER,
    BODY_DIGEST_HEADER,
    REFUSAL_HEADER,
)

# Headers that the broker sets itself.
DELIVERY_COUNT_HEADER: Final = "x-delivery-count"
ACQUIRED_COUNT_HEADER: Final = "x-acquired-count"
FIRST_DEATH_REASON_HEADER: Final = "x-first-death-reason"

# The identity of each JSON Schema; an event names that of its data in `dataschema`.
SCHEMA_URN: Final = "urn:points-worker:schema:{name}:v1"
OUTCOME_SCHEMA: Final = SCHEMA_URN.format(name="outcome")

# CloudEvents attributes whose values are made by one rule.
SOURCE_PREFIX: Final = "/points/"
SEQUENCE_DIGITS: Final = 19

# The most decimals of an amount, and so of a currency.
DECIMALS_MAX: Final = 6

# What a request is when it does not say.
DEFAULT_PROGRAM_ID: Final = "default"
DEFAULT_TTL_SECONDS: Final = 172_800

Operation = Literal[
    "ADJUST", "SET_BALANCE", "REVERSE", "HOLD", "CAPTURE", "RELEASE", "CONVERT", "EXPIRE"
]
ADJUST: Final = "ADJUST"
SET_BALANCE: Final = "SET_BALANCE"
REVERSE: Final = "REVERSE"
HOLD: Final = "HOLD"
CAPTURE: Final = "CAPTURE"
RELEASE: Final = "RELEASE"
CONVERT: Final = "CONVERT"
EXPIRE: Final = "EXPIRE"

Status = Literal["APPLIED", "REJECTED", "NO_CHANGE", "SIMULATED"]
APPLIED: Final = "APPLIED"
REJECTED: Final = "REJECTED"
NO_CHANGE: Final = "NO_CHANGE"
SIMULATED: Final = "SIMULATED"

Category = Literal["REGULAR", "PROMISED", "EXTERNAL_TRIGGER_BASED"]
REGULAR: Final = "REGULAR"
PROMISED: Final = "PROMISED"
EXTERNAL_TRIGGER_BASED: Final = "EXTERNAL_TRIGGER_BASED"

ExpirationType = Literal["PROGRAM_RULES", "NON_EXPIRING", "CUSTOM_DATE"]
PROGRAM_RULES: Final = "PROGRAM_RULES"
NON_EXPIRING: Final = "NON_EXPIRING"
CUSTOM_DATE: Final = "CUSTOM_DATE"

AwardType = Literal[
    "bill_regular",
    "bill_promotions",
    "line_item_regular",
    "line_item_promotions",
    "customer_promotions",
]

OperationType = Literal["MANUAL", "AUTOMATIC"]
MANUAL: Final = "MANUAL"
AUTOMATIC: Final = "AUTOMATIC"

EventType = Literal[
    "POINTS_ADJUSTED",
    "ADJUSTMENT_REJECTED",
    "POINTS_EXPIRED",
    "POINTS_HELD",
    "POINTS_RELEASED",
    "POINTS_CONVERTED",
]
POINTS_ADJUSTED: Final = "POINTS_ADJUSTED"
ADJUSTMENT_REJECTED: Final = "ADJUSTMENT_REJECTED"
POINTS_EXPIRED: Final = "POINTS_EXPIRED"
POINTS_HELD: Final = "POINTS_HELD"
POINTS_RELEASED: Final = "POINTS_RELEASED"
POINTS_CONVERTED: Final = "POINTS_CONVERTED"
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)

# An outcome lists at most so many lots; where it had to leave some out, it says so.
LOTS_LISTED_MAX: Final = 100
LOTS_TRUNCATED: Final = "lots_truncated"
