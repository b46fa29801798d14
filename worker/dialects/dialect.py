"""What every dialect is: a translation of one vendor's messages, and of the answers to them.

Pure: it looks nothing up and sends nothing. Whoever uses it resolves identifiers, sends the
canonical request on, and publishes the reply.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from schemas import errors, names, numbers, text
from schemas.faults import FAULTS_LISTED_MAX, field_name, shape
from schemas.identity import ID_BYTES_MAX, PROGRAM_ID_RULE, is_id, is_program_id
from schemas.reading import write_json
from worker.domain.outcome import Rejection

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from worker.domain.program import Program

UNKNOWN_FIELD: Final = "is not a field of this message"
"""The rule that a field breaks of which a dialect does not know."""

Detail = dict[str, Any]
"""One fault, as `schemas.outcome.Detail` has it: `field`, `rule` and `got`."""

PROGRAM_ID_HEADER: Final = "program-id"

# No field of the vendors' has a digit in its name, and every account number has.
_WITH_DIGITS: Final = "a name with digits"
_DIGIT: Final = re.compile(r"\d")


class Refused(Exception):
    """A request of a known member that is not valid in its dialect: a stored rejection."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.key)
        self.rejection = rejection


class Undeliverable(Exception):
    """A message that cannot be tied to a member and a request: a dead letter.

    `key` and `message` are the letter's; they and the `details` go into the dialect's error
    reply. None of them holds a value that was sent.
    """

    def __init__(self, key: str, message: str, details: Sequence[Detail] = ()) -> None:
        super().__init__(key, message)
        self.key = key
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True)
class Identifier:
    """Another name of a member, to be resolved; `name` says of which kind. Never shown."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Inbound:
    """What a vendor's message says, before anything is looked up.

    Exactly one of `member_id` and `identifier` is set. `document` is the parsed body, which may
    be no object; `parameters` is what the vendor's API has in its path or query. `content` is
    what is asked in one form, without whom it is asked for: the fingerprint is made of it.
    `context` is what the reply needs to know besides the outcome: short texts, no secrets.
    """

    program_id: str
    request_id: str
    member_id: str | None
    identifier: Identifier | None
    document: Any = field(repr=False)
    content: bytes = field(repr=False)
    context: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, object] = field(default_factory=dict)


class Dialect(Protocol):
    """One vendor's way of asking for adjustments, and of hearing what came of them."""

    @property
    def name(self) -> str:
        """The AMQP type of its messages, and of the replies to them."""

    def read(
        self, document: object, headers: Mapping[str, object], message_id: str | None
    ) -> Inbound:
        """Read a parsed body and the headers as far as whose request it is.

        `document` is None also for a body that cannot be read: then the headers alone may tell.
        Raises Undeliverable where that cannot be told.
        """

    def translate(self, inbound: Inbound, program: Program | None) -> dict[str, Any]:
        """Return the fields of the canonical request, but for its three ids.

        `program` is None where there is none of that id. Raises Refused.
        """

    def reply(
        self, outcome: Mapping[str, Any], context: Mapping[str, str], program: Program | None
    ) -> dict[str, Any]:
        """Return the body of the reply, as parsed JSON.

        `outcome` is the stored one as `read_json` reads it, `context` that of the request.
        """

    def error(
        self,
        key: str,
        message: str,
        context: Mapping[str, str],
        details: Sequence[Detail] = (),
    ) -> dict[str, Any]:
        """Return the body of the reply to a message that became a dead letter.

        `context` is empty where the message could not even be read.
        """


class Faults:
    """Collects everything that is wrong with a body, so that all of it is told at once."""

    def __init__(self) -> None:
        self.details: list[Detail] = []

    def add(self, name: str, rule: str, value: object = None) -> None:
        """Note that a field breaks a rule; `value` is what came, of which only the shape is told.

        `rule` is a sentence without its subject. Null counts as nothing.
        """
        self._add(field_name(name), rule, value)

    def unknown(self, document: Mapping[str, Any], known: Collection[str]) -> None:
        """Note every field that is none of those known, so that none silently does nothing.

        A name with digits is not shown: it may be a value, and somebody's number.
        """
        for name, value in document.items():
            if name not in known:
                shown = _WITH_DIGITS if _DIGIT.search(name) else field_name(name)
                self._add(shown, UNKNOWN_FIELD, value)

    def text(self, name: str, value: object, bytes_min: int, bytes_max: int) -> str | None:
        """Return a string of so many bytes without control characters, None for null."""
        if value is None or text.is_text(value, bytes_min, bytes_max):
            return value
        self.add(name, text.text_rule(bytes_min, bytes_max), value)
        return None

    def amount(self, name: str, value: object) -> numbers.Amount | None:
        """Return an amount, None for null or for what is none."""
        if value is None:
            return None
        try:
            return numbers.parse(value)
        except ValueError as error:
            self.add(name, str(error), value)
            return None

    def magnitude(self, name: str, value: object) -> numbers.Amount | None:
        """Return an amount without a sign, None for null or for what is none."""
        amount = self.amount(name, value)
        if amount is not None and amount.digits < 0:
            self.add(name, "must be more than zero: its sign is told otherwise", value)
            return None
        return amount

    def listed(self) -> list[Detail]:
        """Return what was found, at most 50 faults and then how many more there are."""
        listed = self.details[:FAULTS_LISTED_MAX]
        if more := len(self.details) - len(listed):
            rule = f"has {more} more faults"
            listed.append({"field": "body", "rule": rule, "got": "more than listed"})
        return listed

    def refuse(self) -> None:
        """Raise Refused with `invalid_payload` if anything was found."""
        if not self.details:
            return
        first = self.details[0]
        raise Refused(
            Rejection(errors.INVALID_PAYLOAD, f"{first['field']} {first['rule']}.", self.listed())
        )

    def _add(self, shown: str, rule: str, value: object) -> None:
        got = "nothing" if value is None else shape(value)
        self.details.append({"field": shown, "rule": rule, "got": got})


def object_of(document: object) -> dict[str, Any]:
    """Return a body that is a JSON object, as it has to be. Raises Refused."""
    if type(document) is dict:
        return document
    faults = Faults()
    faults.add("body", "must be a JSON object", document)
    faults.refuse()
    raise AssertionError("a fault was added")


def invalid(name: str, rule: str, value: object) -> Undeliverable:
    """Return the end of a message in which something breaks a rule; of it the shape is told."""
    return Undeliverable(errors.INVALID_PAYLOAD, f"{name} {rule}; got {shape(value)}")


def header(headers: Mapping[str, object], name: str) -> str | None:
    """Return a header's text, also of a whole number; None where it is absent or empty.

    Raises Undeliverable with `invalid_payload` for anything else.
    """
    value = headers.get(name)
    if value is None or value == "":
        return None
    if type(value) is int:
        return str(value)
    if isinstance(value, str):
        return value
    raise Undeliverable(errors.INVALID_PAYLOAD, f"header {name} must be a string")


def request_id_of(message_id: str | None) -> str:
    """Return the request id of a vendor's message, which is its message_id.

    Raises Undeliverable with `missing_request_id` or `invalid_payload`.
    """
    if not message_id:
        raise Undeliverable(errors.MISSING_REQUEST_ID, "message_id is required")
    if not is_id(message_id):
        raise invalid("message_id", text.text_rule(1, ID_BYTES_MAX), message_id)
    return message_id


def member_id_of(headers: Mapping[str, object], name: str = names.MEMBER_ID_HEADER) -> str:
    """Return the member id that a header names.

    Raises Undeliverable with `missing_member_id` or `invalid_payload`.
    """
    member_id = header(headers, name)
    if member_id is None:
        raise Undeliverable(errors.MISSING_MEMBER_ID, f"header {name} is required")
    if not is_id(member_id):
        raise invalid(f"header {name}", text.text_rule(1, ID_BYTES_MAX), member_id)
    return member_id


def program_id_of(headers: Mapping[str, object], name: str = PROGRAM_ID_HEADER) -> str:
    """Return the programme id that a header names, the default one where it is absent.

    Raises Undeliverable with `invalid_payload`.
    """
    program_id = header(headers, name)
    if program_id is None:
        return names.DEFAULT_PROGRAM_ID
    if not is_program_id(program_id):
        raise invalid(f"header {name}", PROGRAM_ID_RULE, program_id)
    return program_id


def content_of(
    dialect: str,
    document: object,
    *,
    amounts: Collection[str] = (),
    left_out: Collection[str] = (),
    parameters: Mapping[str, object] | None = None,
) -> bytes:
    """Write what is asked in one form: compact JSON, names sorted, null fields left out.

    The fields named in `amounts` are written in their shortest form. Those in `left_out`, the
    names of members above all, are not part of what is asked.
    """
    body = document
    if type(document) is dict:
        body = {
            name: _shortest(value) if name in amounts else value
            for name, value in document.items()
            if value is not None and name not in left_out
        }
    content: dict[str, object] = {"dialect": dialect, "body": body}
    if parameters:
        content["parameters"] = parameters
    try:
        return write_json(content, sort_keys=True)
    except TypeError:
        # A lone surrogate, which only an escape can write. The request will be refused for it.
        return json.dumps(content, sort_keys=True, separators=(",", ":"), default=repr).encode()


def _shortest(value: object) -> object:
    try:
        return str(numbers.parse(value))
    except ValueError:
        return value
