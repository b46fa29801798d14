"""`decide` has an answer to every valid request, whatever the books hold and whatever the time."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from schemas import names
from schemas.errors import DEAD_LETTER_KEYS, ERRORS
from schemas.outcome import Outcome
from schemas.reading import read_json
from schemas.request import AdjustmentRequest
from tests.property.histories import PROGRAMS, ZONES
from worker.domain.decide import decide
from worker.domain.document import from_document
from worker.domain.member import Member
from worker.domain.money import MINOR_UNITS_MAX
from worker.domain.wallet import Lot
from worker.envelope.writing import outcome_bytes

if TYPE_CHECKING:
    from worker.domain.program import Program

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
ID = TEXT
AMOUNT = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}{'.' if fraction else ''}{fraction}",
    st.sampled_from(["", "-"]),
    st.one_of(
        st.integers(1, 20_000), st.integers(1, 10**13), st.sampled_from([0, 10**15 - 1, 9 * 10**12])
    ),
    st.one_of(st.just(""), st.just("000000"), st.text("0123456789", max_size=6)),
)
UNSIGNED = st.integers(1, 10**15 - 1)
DAY = st.one_of(
    st.dates(datetime(2, 1, 1).date(), datetime(9998, 12, 31).date()),  # noqa: DTZ001
    st.dates(datetime(2026, 1, 1).date(), datetime(2027, 1, 1).date()),  # noqa: DTZ001
).map(lambda day: day.isoformat())
MOMENT = st.builds(
    lambda day, offset: f"{day}T12:30:00{offset}",
    DAY,
    st.sampled_from(["", "Z", "+14:00", "-12:00"]),
)
CUSTOM = st.one_of(DAY, MOMENT).map(
    lambda text: {"expiration_type": "CUSTOM_DATE", "expiration_date": text}
)
EXPIRY: st.SearchStrategy[dict[str, str]] = st.one_of(
    st.just({}), st.just({"expiration_type": "NON_EXPIRING"}), CUSTOM
)
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "program_id": st.sampled_from(["acme", "default", "x"]),
        "request_id": ID,
        "currency": st.sampled_from(["points", "coins", "pearls"]),
        "category": st.sampled_from(get_args(names.Category)),
        "reason": TEXT,
        "reason_code": TEXT,
        "comment": TEXT,
        "adjusted_by": TEXT,
        "source": TEXT,
        "source_id": TEXT,
        "operation_type": st.sampled_from(get_args(names.OperationType)),
        "allow_negative": st.booleans(),
        "occurred_at": MOMENT.filter(lambda text: text[-1] != "0"),
        "metadata": st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none()), max_size=3),
    },
)
LATER = st.fixed_dictionaries(
    {},
    optional={
        "award_id": ID,
        "promotion_id": ID,
        "expected_version": st.integers(0, 10**18 - 1),
        "ordinal": st.integers(1, 10**18 - 1),
        "bypass_caps": st.booleans(),
        "dry_run": st.booleans(),
    },
)


def _of(operation: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"operation": st.just(operation), **fields})


def _adjust(drawn: tuple[str, dict[str, str]]) -> dict[str, Any]:
    points, expiry = drawn
    is_debit = points[0] == "-" and points.strip("-0.") != ""
    return {"points": points} | ({} if is_debit else expiry)


ADJUSTMENTS = st.tuples(AMOUNT, EXPIRY).map(_adjust)
OTHERS = st.one_of(
    _of("SET_BALANCE", points=AMOUNT),
    _of("REVERSE", reverses=ID),
    _of("HOLD", points=UNSIGNED, ttl_seconds=st.integers(1, 10**6)),
    _of("CAPTURE", hold=ID),
    _of("RELEASE", hold=ID),
    _of("CONVERT", category=st.sampled_from(["PROMISED", "EXTERNAL_TRIGGER_BASED"])),
    _of("EXPIRE"),
)


def documents(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Documents that are put together of all the parts."""
    return st.tuples(LABELS, *parts).map(
        lambda drawn: {"member_id": "m"} | {k: v for part in drawn for k, v in part.items()}
    )


SEEDS = st.integers(0, 2**32)
FAR_RULES = st.sampled_from(
    [
        {"rule": "after", "years": 7000},
        {"rule": "after", "days": 10**12},
        {"rule": "end_of", "period": "year", "after_months": 10**30},
    ]
)
FAR_PROGRAMS = st.builds(
    lambda zone, rule: {
        "time_zone": zone,
        "allow_negative": True,
        "currencies": [{"code": "points", "decimals": 6, "expiry": rule}],
    },
    st.sampled_from(ZONES),
    FAR_RULES,
)
ANY_PROGRAM = st.one_of(PROGRAMS, FAR_PROGRAMS).map(lambda doc: from_document("acme", 1, doc))
NOWS = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001
    st.datetimes(datetime(2000, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001
).map(lambda now: now.replace(tzinfo=UTC))


def any_member(seed: int, now: datetime) -> Member:
    """A member with wallets that hold little, nothing, all that there can be, or owe as much."""
    chance = random.Random(seed)
    member = Member("acme", "m", sequence=chance.randrange(5))
    for currency in ("points", "coins"):
        wallet = member.wallet(currency, "REGULAR")
        left = chance.choice([0, 5, 10_000, MINOR_UNITS_MAX])
        wallet.total = chance.choice([left, MINOR_UNITS_MAX])
        wallet.version = 7
        if chance.random() < 0.3:
            wallet.balance, wallet.deficit = -left, left
            continue
        wallet.balance = left
        while left:
            part = chance.choice([left, chance.randint(1, left)])
            gap = chance.choice([None, timedelta(0), timedelta(seconds=1), timedelta(days=9)])
            expires_at = None if gap is None else now + gap
            wallet.lots.append(Lot(len(wallet.lots), part, part, expires_at))
            left -= part
        wallet.lots.sort(key=Lot.order)
    return member


def check(program: Program | None, document: dict[str, Any], seed: int, now: datetime) -> Outcome:
    """Decide, see that all that came of it can be stored and written, and return the answer."""
    request = AdjustmentRequest.model_validate(read_json(json.dumps(document).encode()))
    member = any_member(seed, now)
    sequence = member.sequence
    *expired, own = decide(program, member, "r1", request, now)
    assert (own.request_id, own.caused_by, own.request) == ("r1", None, request)
    assert len(expired) <= 1
    for outcome in (*expired, own):
        sequence += 1
        assert outcome.sequence == sequence
        figures = [outcome.points, outcome.balance, outcome.available, outcome.total]
        assert all(abs(figure or 0) <= MINOR_UNITS_MAX for figure in figures)
        answer = Outcome.model_validate(read_json(outcome_bytes(outcome, "acme", "m")))
    if own.rejection is not None:
        assert own.rejection.key in ERRORS.keys() - set(DEAD_LETTER_KEYS)
    assert member.sequence == sequence
    return answer


@given(ANY_PROGRAM, documents(ADJUSTMENTS), SEEDS, NOWS)
def test_every_valid_adjustment_gets_an_outcome_that_can_be_stored_and_written(
    program: Program, document: dict[str, Any], seed: int, now: datetime
) -> None:
    answer = check(program, document, seed, now)
    assert answer.status in {"APPLIED", "REJECTED"}
    assert answer.error is None or answer.error.key != "invalid_payload"


@given(
    st.one_of(ANY_PROGRAM, st.none()),
    st.one_of(documents(ADJUSTMENTS, LATER), documents(LATER, OTHERS), documents(OTHERS)),
    SEEDS,
    NOWS,
)
def test_every_other_valid_request_gets_one_as_well(
    program: Program | None, document: dict[str, Any], seed: int, now: datetime
) -> None:
    answer = check(program, document, seed, now)
    if document.get("operation", "ADJUST") != "ADJUST":
        assert answer.error is not None
        assert answer.error.key == "invalid_payload"
