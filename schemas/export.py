"""Makes the documents of the contract from its models: JSON Schemas, and one of AsyncAPI.

`python -m schemas.export` writes them beside the models, where they are committed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from schemas import names, topology
from schemas.dead_letter import DeadLetterHeaders, ErrorReply
from schemas.dialects import DIALECTS
from schemas.event import Event
from schemas.outcome import Outcome
from schemas.program import PROGRAM
from schemas.request import AdjustmentRequest

if TYPE_CHECKING:
    from pydantic import BaseModel

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI_VERSION: Final = "3.1.0"
AMQP_BINDING_VERSION: Final = "0.3.0"

# What each message's schema is called, in file names and in `$id`.
MODELS: Final[dict[str, type[BaseModel]]] = {
    "request": AdjustmentRequest,
    "outcome": Outcome,
    "event": Event,
    "dead_letter": DeadLetterHeaders,
    "error": ErrorReply,
}

Document = dict[str, Any]

# The schemas that no model makes, by the same kind of name.
OTHERS: Final[dict[str, Document]] = {
    "program": PROGRAM,
    **{name: dialect.body for name, dialect in DIALECTS.items()},
    **{f"{name}.reply": dialect.reply for name, dialect in DIALECTS.items()},
}


# What each dialect's messages are called in the AsyncAPI document: `wllEvent` for `wll.event`.
_VENDORS: Final = {
    re.sub(r"[._](\w)", lambda match: match[1].upper(), type_): type_ for type_ in DIALECTS
}


def documents() -> dict[str, str]:
    """Return the text of every generated document by its path below `schemas/`."""
    schemas = {f"json/{name}.schema.json": _text(json_schema(name)) for name in (*MODELS, *OTHERS)}
    return {**schemas, "asyncapi.json": _text(asyncapi())}


def write(folder: Path) -> list[Path]:
    """Write every document below `folder`, which is made if need be, and return the files."""
    files = []
    for name, text in documents().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        files.append(file)
    return files


def json_schema(name: str) -> Document:
    """Return the JSON Schema, draft 2020-12, of one of `MODELS` or `OTHERS`."""
    identity = {"$schema": DIALECT, "$id": names.SCHEMA_URN.format(name=name)}
    return identity | (MODELS[name].model_json_schema() if name in MODELS else OTHERS[name])


def asyncapi() -> Document:
    """Return the AsyncAPI document: what the worker receives and sends, and where."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in MODELS.values()],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Points worker",
            "version": "1.0.0",
            "description": "Applies adjustments of loyalty points: in order for each member, "
            "once, with every outcome published.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": names.JSON_CONTENT_TYPE,
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": _messages() | _dialects_messages(),
            "schemas": schemas["$defs"],
        },
    }


def _channels() -> Document:
    prefix = names.DEFAULT_PREFIX
    return {
        "adjustments": {
            "address": "{routingKey}",
            "description": "Where upstream services publish: persistent, confirmed, mandatory.",
            "parameters": {
                "routingKey": {
                    "description": "The member's bucket key: `bucket.` and three digits, the "
                    "CRC-32 of the member id's UTF-8 bytes modulo "
                    f"{topology.BUCKETS}. Anything else takes the longer way, through the door.",
                    "examples": [topology.bucket_key("123456789")],
                }
            },
            "messages": _references("adjustmentRequest", *_VENDORS),
            "bindings": _exchange(topology.adjustments_exchange(prefix), "direct"),
        },
        "replies": {
            "address": None,
            "description": "The queue that a request names in its property `reply_to`.",
            "messages": _references(
                "adjustmentResult", "adjustmentError", *(f"{name}Reply" for name in _VENDORS)
            ),
        },
        "events": {
            "address": "{programId}.{eventType}",
            "description": "Every stored outcome that changed or refused something.",
            "parameters": {
                "programId": {"description": "The programme."},
                "eventType": {
                    "description": "What happened.",
                    "enum": list(names.EVENT_TYPES),
                },
            },
            "messages": _references("pointsEvent"),
            "bindings": _exchange(topology.events_exchange(prefix), "topic"),
        },
        "deadLetters": {
            "address": "{reason}",
            "description": "What could not be understood, with its reason; kept in the queue "
            f"`{topology.dead(prefix)}`.",
            "parameters": {"reason": {"description": "The key of the error."}},
            "messages": _references("deadLetter"),
            "bindings": _exchange(topology.dead(prefix), "topic"),
        },
    }


def _operations() -> Document:
    return {
        "receiveAdjustment": {
            "action": "receive",
            "channel": {"$ref": "#/channels/adjustments"},
            "messages": [{"$ref": "#/channels/adjustments/messages/adjustmentRequest"}],
            "bindings": _persistent(mandatory=True),
            "reply": {
                "address": {"location": "$message.header#/reply_to"},
                "channel": {"$ref": "#/channels/replies"},
                "messages": [
                    {"$ref": "#/channels/replies/messages/adjustmentResult"},
                    {"$ref": "#/channels/replies/messages/adjustmentError"},
                ],
            },
        },
        "sendEvent": {
            "action": "send",
            "channel": {"$ref": "#/channels/events"},
            "messages": [{"$ref": "#/channels/events/messages/pointsEvent"}],
            "bindings": _persistent(mandatory=False),
        },
        **{
            f"receive{name[0].upper()}{name[1:]}": {
                "action": "receive",
                "channel": {"$ref": "#/channels/adjustments"},
                "messages": [{"$ref": f"#/channels/adjustments/messages/{name}"}],
                "bindings": _persistent(mandatory=True),
                "reply": {
                    "address": {"location": "$message.header#/reply_to"},
                    "channel": {"$ref": "#/channels/replies"},
                    "messages": [{"$ref": f"#/channels/replies/messages/{name}Reply"}],
                },
            }
            for name in _VENDORS
        },
        "sendDeadLetter": {
            "action": "send",
            "channel": {"$ref": "#/channels/deadLetters"},
            "messages": [{"$ref": "#/channels/deadLetters/messages/deadLetter"}],
            "bindings": _persistent(mandatory=False),
        },
    }


def _messages() -> Document:
    return {
        "adjustmentRequest": {
            **_message("AdjustmentRequest", names.REQUEST_TYPE),
            "headers": _headers(names.TRACEPARENT_HEADER),
            "correlationId": {
                "location": "$message.header#/correlation_id",
                "description": "Comes back with the reply; default: the message_id.",
            },
        },
        "adjustmentResult": _message("Outcome", names.RESULT_TYPE),
        "adjustmentError": _message("ErrorReply", names.ERROR_TYPE),
        "pointsEvent": {
            "title": "Event",
            "summary": "Its AMQP type is the event's, its message_id the event's id.",
            "contentType": names.EVENT_CONTENT_TYPE,
            "headers": _headers(
                names.MEMBER_ID_HEADER, names.BUCKET_HEADER, names.TRACEPARENT_HEADER
            ),
            "payload": {"$ref": "#/components/schemas/Event"},
        },
        "deadLetter": {
            "title": "Dead letter",
            "summary": "The body and properties of the message as it came, the reason in headers.",
            "headers": {"$ref": "#/components/schemas/DeadLetterHeaders"},
            "payload": {"description": "The body as it came, whatever it is."},
        },
    }


def _dialects_messages() -> Document:
    """Return the vendors' messages, which go through the door, and the replies to them."""
    messages: Document = {}
    for name, type_ in _VENDORS.items():
        dialect = DIALECTS[type_]
        messages[name] = _typed(type_) | {
            "summary": "Takes the way through the door. Its message_id is the request id.",
            "headers": dialect.headers,
            "payload": dialect.body,
        }
        messages[f"{name}Reply"] = _typed(type_) | {"payload": dialect.reply}
    return messages


def _message(model: str, type_: str) -> Document:
    return _typed(type_) | {"payload": {"$ref": f"#/components/schemas/{model}"}}


def _typed(type_: str) -> Document:
    return {
        "name": type_,
        "contentType": names.JSON_CONTENT_TYPE,
        "bindings": {"amqp": {"messageType": type_, "bindingVersion": AMQP_BINDING_VERSION}},
    }


def _headers(*headers: str) -> Document:
    return {"type": "object", "properties": {header: {"type": "string"} for header in headers}}


def _references(*messages: str) -> Document:
    return {message: {"$ref": f"#/components/messages/{message}"} for message in messages}


def _exchange(name: str, kind: str) -> Document:
    exchange = {"name": name, "type": kind, "durable": True, "autoDelete": False}
    return {
        "amqp": {
            "is": "routingKey",
            "exchange": exchange,
            "bindingVersion": AMQP_BINDING_VERSION,
        }
    }


def _persistent(*, mandatory: bool) -> Document:
    return {
        "amqp": {
            "deliveryMode": 2,
            "mandatory": mandatory,
            "bindingVersion": AMQP_BINDING_VERSION,
        }
    }


def _text(document: Document) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write(Path(__file__).parent)
