"""AMQP messages written byte by byte, as no client library would: any property, any header."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from aiormq.abc import ChannelFrame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiormq.channel import Channel

FRAME_BODY_MAX: Final = 120_000

# The properties in their order on the wire: short texts, but for those that have another form.
_FLAGS: Final = {
    "content_type": 0x8000,
    "content_encoding": 0x4000,
    "headers": 0x2000,
    "delivery_mode": 0x1000,
    "priority": 0x0800,
    "correlation_id": 0x0400,
    "reply_to": 0x0200,
    "expiration": 0x0100,
    "message_id": 0x0080,
    "timestamp": 0x0040,
    "type": 0x0020,
    "user_id": 0x0010,
    "app_id": 0x0008,
    "cluster_id": 0x0004,
}


async def publish_raw(
    channel: Channel,
    exchange: str,
    routing_key: bytes,
    properties: Mapping[str, Any],
    body: bytes,
) -> None:
    """Publish one message exactly as given, unconfirmed, once there is room to write."""
    assert not channel.publisher_confirms
    frames = [_frame(channel.number, 1, _method(exchange, routing_key))]
    frames.append(_frame(channel.number, 2, _content_header(properties, len(body))))
    frames += (
        _frame(channel.number, 3, body[start : start + FRAME_BODY_MAX])
        for start in range(0, len(body), FRAME_BODY_MAX)
    )
    await channel.write_queue.put(ChannelFrame(payload=b"".join(frames), should_close=False))


def _frame(channel_number: int, kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel_number, len(payload)) + payload + b"\xce"


def _method(exchange: str, routing_key: bytes) -> bytes:
    return struct.pack(">HHH", 60, 40, 0) + _short(exchange.encode()) + _short(routing_key) + b"\0"


def _content_header(properties: Mapping[str, Any], body_size: int) -> bytes:
    flags = sum(_FLAGS[name] for name in properties)
    values = (_property(name, properties[name]) for name in _FLAGS if name in properties)
    return struct.pack(">HHQH", 60, 0, body_size, flags) + b"".join(values)


def _property(name: str, value: Any) -> bytes:
    match name:
        case "headers":
            return _table(value)
        case "delivery_mode" | "priority":
            return bytes([value])
        case "timestamp":
            return struct.pack(">Q", value)
    return _short(value)


def _short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def _long(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _table(fields: Mapping[str, Any]) -> bytes:
    return _long(b"".join(_short(name.encode()) + _value(item) for name, item in fields.items()))


def _value(value: Any) -> bytes:  # noqa: PLR0911 - one per type.
    match value:
        case None:
            return b"V"
        case bool():
            return b"t" + bytes([value])
        case int():
            return b"l" + struct.pack(">q", value)
        case float():
            return b"d" + struct.pack(">d", value)
        case bytes() | str():
            return b"S" + _long(value if isinstance(value, bytes) else value.encode())
        case list():
            return b"A" + _long(b"".join(map(_value, value)))
        case dict():
            return b"F" + _table(value)
    raise TypeError(value)
