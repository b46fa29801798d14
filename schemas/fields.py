"""How a field of a model is read, written, and told to JSON Schema."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field
from pydantic_core import core_schema

from schemas import identity, numbers, text, times
from schemas.reading import write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

METADATA_BYTES_MAX: Final = 4096
METADATA_RULE: Final = (
    f"must be an object of at most {METADATA_BYTES_MAX} bytes as compact JSON, "
    "its strings without control characters"
)

# The longest integer that `read_json` reads as one; every counter of the contract stays below.
COUNTER_MAX: Final = 10**18 - 1


@dataclass(frozen=True, eq=False)
class Reading:
    """Marks a field that `read` reads from JSON, and `write` writes back to it.

    `read` raises `ValueError` with the rule that it holds values to; `schema` is that rule as
    far as JSON Schema can tell it.
    """

    read: Callable[[Any], Any]
    schema: dict[str, Any]
    write: Callable[[Any], Any] | None = None

    def __get_pydantic_core_schema__(self, _type: Any, _next: GetCoreSchemaHandler) -> CoreSchema:
        write = self.write and core_schema.plain_serializer_function_ser_schema(self.write)
        return core_schema.no_info_plain_validator_function(self.read, serialization=write)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _next: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(self.schema)


def string(bytes_min: int, bytes_max: int) -> Reading:
    """Make a field a string of so many bytes of UTF-8 without control characters."""
    rule = text.text_rule(bytes_min, bytes_max)
    is_text = text.is_text

    def read(value: object) -> object:
        if is_text(value, bytes_min, bytes_max):
            return value
        raise ValueError(rule)

    # JSON Schema counts characters, of which there are never more than bytes.
    schema: dict[str, Any] = {"type": "string", "maxLength": bytes_max}
    schema["not"] = {"pattern": text.FORBIDDEN_PATTERN}
    return Reading(read, schema | ({"minLength": bytes_min} if bytes_min else {}))


def _read_program_id(value: object) -> object:
    if identity.is_program_id(value):
        return value
    raise ValueError(identity.PROGRAM_ID_RULE)


def _read_metadata(value: object) -> object:
    if type(value) is dict and _is_clean(value) and len(write_json(value)) <= METADATA_BYTES_MAX:
        return value
    raise ValueError(METADATA_RULE)


def _is_clean(value: object) -> bool:
    """Whether no name or string anywhere in a JSON value holds what the contract forbids."""
    if isinstance(value, str):
        return not text.flaw(value)
    if isinstance(value, dict):
        return all(not text.flaw(name) and _is_clean(item) for name, item in value.items())
    return not isinstance(value, list) or all(map(_is_clean, value))


def _read_decimal(value: object) -> object:
    if type(value) is str and numbers.is_decimal_text(value):
        return value
    raise ValueError(numbers.DECIMAL_RULE)


def _read_unsigned(value: object) -> object:
    if type(value) is str and value[:1] != "-" and numbers.is_decimal_text(value):
        return value
    raise ValueError(numbers.UNSIGNED_RULE)


def _iso(moment: Any) -> str:
    return str(moment.isoformat())


AMOUNT: Final = Reading(
    numbers.parse,
    {
        "anyOf": [
            {
                "type": "number",
                "exclusiveMinimum": -(10**numbers.WHOLE_DIGITS_MAX),
                "exclusiveMaximum": 10**numbers.WHOLE_DIGITS_MAX,
            },
            {"type": "string", "pattern": f"^{numbers.AMOUNT_PATTERN}$"},
        ]
    },
    str,
)
DAY: Final = Reading(
    times.parse_date,
    {
        "anyOf": [
            {"type": "string", "pattern": f"^{times.DATE_PATTERN}$"},
            {"type": "string", "pattern": f"^{times.LOCAL_TIME_PATTERN}{times.OFFSET_PATTERN}?$"},
        ]
    },
    _iso,
)
MOMENT: Final = Reading(
    times.parse_time,
    {
        "type": "string",
        "format": "date-time",
        "pattern": f"^{times.LOCAL_TIME_PATTERN}{times.OFFSET_PATTERN}$",
    },
    _iso,
)
UTC_MOMENT: Final = Reading(
    times.parse_utc,
    {"type": "string", "format": "date-time", "pattern": f"^{times.UTC_PATTERN}$"},
    times.utc_text,
)
DECIMAL: Final = Reading(
    _read_decimal, {"type": "string", "pattern": f"^{numbers.DECIMAL_PATTERN}$"}
)
UNSIGNED: Final = Reading(
    _read_unsigned, {"type": "string", "pattern": f"^{numbers.UNSIGNED_PATTERN}$"}
)
PROGRAM_ID: Final = Reading(
    _read_program_id, {"type": "string", "pattern": f"^{identity.PROGRAM_ID_PATTERN}$"}
)
METADATA: Final = Reading(_read_metadata, {"type": "object"})

ProgramId = Annotated[str, PROGRAM_ID]
Id = Annotated[str, string(1, identity.ID_BYTES_MAX)]
Decimal = Annotated[str, DECIMAL]
Unsigned = Annotated[str, UNSIGNED]
Moment = Annotated[datetime, UTC_MOMENT]
Counter = Annotated[int, Field(strict=True, ge=0, le=COUNTER_MAX)]
Positive = Annotated[int, Field(strict=True, ge=1, le=COUNTER_MAX)]
