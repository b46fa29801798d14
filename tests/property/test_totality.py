"""`decide` has an answer to every valid request, whatever the books hold and whatever the time."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
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
from worker.domain import ordinals
from worker.domain.decide import decide
from worker.domain.document import from_document
from worker.domain.member import Arrival, EndedHold, Hold, Member, Original, Stream
from worker.domain.money import MINOR_UNITS_MAX
from worker.domain.ordinals import Parking
from worker.domain.wallet import Label, Lot, LotChange
from worker.envelope.writing import outcome_bytes

if TYPE_CHECKING:
    from worker.domain.outcome import Decision
    from worker.domain.program import Program
    from worker.domain.wallet import Wallet

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
AIMED = st.fixed_dictionaries(
    {},
    optional={
        "award_id": st.sampled_from(["a1", "a2", "a3"]),
        "promotion_id": st.sampled_from(["p1", "p2"]),
    },
)
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "expected_version": st.one_of(st.just(7), st.integers(0, 10**18 - 1)),
        "ordinal": st.one_of(st.integers(1, 9), st.integers(1, 10**18 - 1)),
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
    _of("REVERSE", reverses=st.sampled_from(["o1", "o2", "o3", "o4"])),
    _of("HOLD", points=UNSIGNED, ttl_seconds=st.integers(1, 10**6)),
    _of("CAPTURE", hold=st.sampled_from(["h1", "h2", "h3", "h4"])),
    _of("RELEASE", hold=st.sampled_from(["h1", "h2", "h3", "h4"])),
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
        {"rule": "after", "days": 2**31 - 1},
        {"rule": "end_of", "period": "year", "after_months": 2**31 - 1},
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
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "reason": st.just("required"),
        "reason_max_length": st.integers(1, 10),
        "enrolment": st.just("required"),
        "sources": st.just(["INSTORE"]),
        "limits": st.just({"points_per_request": "500", "points_per_operator_per_day": "600"}),
        "promotions": st.just([{"id": "p1", "identifier": "first"}]),
    },
)
CAPS = st.fixed_dictionaries(
    {},
    optional={
        "balance_cap": st.just("30"),
        "earn_caps": st.just([{"per": "week", "points": "20"}]),
        "spend_caps": st.just([{"rolling_days": 366, "points": "10"}]),
    },
)


def _with_policies(drawn: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]) -> Program:
    document, policies, caps = drawn
    currencies = [{**currency, **caps} for currency in document["currencies"]]
    return from_document("acme", 1, {**document, **policies, "currencies": currencies})


PLAIN_PROGRAM = st.one_of(PROGRAMS, FAR_PROGRAMS).map(lambda doc: from_document("acme", 1, doc))
ANY_PROGRAM = st.tuples(st.one_of(PROGRAMS, FAR_PROGRAMS), POLICIES, CAPS).map(_with_policies)
NOWS = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001
    st.datetimes(datetime(2000, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001
).map(lambda now: now.replace(tzinfo=UTC))


def any_member(seed: int, now: datetime) -> Member:
    """A member with wallets that hold little, nothing, all that there can be, or owe as much.

    Where all is small there are also holds, awards, early requests, and what can be undone.
    """
    chance = random.Random(seed)
    member = Member("acme", "m", sequence=chance.randrange(5), is_whole=True)
    for currency in ("points", "coins"):
        for category in ("REGULAR", "PROMISED"):
            _fill(member.wallet(currency, category), chance, now)
    member.awards = {"a1": "bill_regular", "a2": None}
    member.ended_holds = {"h3": EndedHold("coins", "PROMISED")}
    member.streams = {"": Stream("", next=3, used=[(5, 6)])}
    for number, place in enumerate((("points", "REGULAR"), ("coins", "PROMISED")), start=1):
        wallet = member.wallet(*place)
        points = min(chance.choice([1, 5, 10_000]), MINOR_UNITS_MAX + wallet.balance)
        if not points:
            continue
        member.holds[f"h{number}"] = Hold(f"h{number}", *place, points, now + chance.choice(GAPS))
        wallet.held = points
        for sign, operation in ((1, "ADJUST"), (-1, "CAPTURE")):
            original_id = f"o{2 * number + (sign < 0) - 1}"
            changes = [
                LotChange(lot.lot_id, sign * min(lot.remaining, points), lot.expires_at, lot.label)
                for lot in wallet.lots[:1]
            ]
            member.originals[original_id] = Original(
                original_id, operation, *place, sign * points, changes
            )
    for number, gap in ((4, GAPS[0]), (8, GAPS[2])):
        early = AdjustmentRequest.model_validate({"member_id": "m", "points": 1})
        arrival = Arrival(f"w{number}", early, b"", ordinal=("", number))
        ordinals.park(member, arrival, now, Parking(gap.total_seconds()))
    member.settle_due_at()
    return member


GAPS = (timedelta(0), timedelta(seconds=1), timedelta(days=9))


def _fill(wallet: Wallet, chance: random.Random, now: datetime) -> None:
    left = chance.choice([0, 5, 10_000, MINOR_UNITS_MAX])
    wallet.total = chance.choice([left, MINOR_UNITS_MAX])
    wallet.version = 7
    if chance.random() < 0.3:
        wallet.balance, wallet.deficit = -left, left
        return
    wallet.balance = left
    labels = (Label(), Label("a1", "bill_regular"), Label("a2"), Label(promotion_id="p1"))
    while left:
        part = chance.choice([left, chance.randint(1, left)])
        gap = chance.choice([None, *GAPS])
        expires_at = None if gap is None else now + gap
        wallet.lots.append(
            Lot(len(wallet.lots), part, part, expires_at, label=chance.choice(labels))
        )
        left -= part
    wallet.lots.sort(key=Lot.order)


def decided(
    program: Program | None, member: Member, document: dict[str, Any], now: datetime
) -> Decision:
    request = AdjustmentRequest.model_validate(read_json(json.dumps(document).encode()))
    ordinal = ("", request.ordinal) if request.ordinal else None
    arrival = Arrival("r1", request, b"", ordinal=ordinal, publisher="till")
    return decide(program, member, arrival, now, Parking())


def check(program: Program | None, document: dict[str, Any], seed: int, now: datetime) -> Outcome:
    """Decide, see that all that came of it can be stored and written, and return the answer.

    An early request is seen to wait, and then to be told so in a dry run.
    """
    member = any_member(seed, now)
    before = copy.deepcopy(member)
    decision = decided(program, member, document, now)
    if decision.parked is not None:
        assert (decision.steps, decision.ended) == ([], [])
        assert member.waiting.pop("r1") == decision.parked
        member.due_at = before.due_at
        assert member == before
        return check(program, {**document, "dry_run": True}, seed, now)
    sequence = before.sequence
    for step in decision.steps:
        outcome = step.outcome
        sequence += outcome.status != "NO_CHANGE"
        assert outcome.sequence == sequence or not decision.is_stored
        figures = [outcome.points, outcome.balance, outcome.available, outcome.total]
        assert all(abs(figure or 0) <= MINOR_UNITS_MAX for figure in figures)
        written = Outcome.model_validate(read_json(outcome_bytes(outcome, "acme", "m")))
        if outcome is decision.own:
            answer = written
        if outcome.rejection is not None:
            assert outcome.rejection.key in ERRORS.keys() - set(DEAD_LETTER_KEYS)
    own = decision.own
    assert (own.request_id, own.caused_by) == ("r1", None)
    if decision.is_stored:
        assert member.sequence == sequence
    else:
        assert member == before
    for wallet in member.wallets.values():
        assert wallet.balance == sum(lot.remaining for lot in wallet.lots) - wallet.deficit
        assert wallet.held >= 0
    return answer


@given(PLAIN_PROGRAM, documents(ADJUSTMENTS), SEEDS, NOWS)
def test_every_valid_adjustment_gets_an_outcome_that_can_be_stored_and_written(
    program: Program, document: dict[str, Any], seed: int, now: datetime
) -> None:
    answer = check(program, document, seed, now)
    assert answer.status in {"APPLIED", "REJECTED"}
    assert answer.error is None or answer.error.key != "invalid_payload"


@given(
    st.one_of(ANY_PROGRAM, st.none()),
    st.one_of(
        documents(ADJUSTMENTS, AIMED, CONDITIONS),
        documents(CONDITIONS, OTHERS),
        documents(OTHERS, AIMED),
    ),
    SEEDS,
    NOWS,
)
def test_every_other_valid_request_gets_one_as_well(
    program: Program | None, document: dict[str, Any], seed: int, now: datetime
) -> None:
    check(program, document, seed, now)


@given(PLAIN_PROGRAM, st.one_of(documents(ADJUSTMENTS), documents(OTHERS)), SEEDS, NOWS)
def test_a_dry_run_tells_what_then_happens(
    program: Program, document: dict[str, Any], seed: int, now: datetime
) -> None:
    member = any_member(seed, now)
    before = copy.deepcopy(member)
    told = decided(program, member, {**document, "dry_run": True}, now)
    assert member == before
    assert not told.is_stored
    happened = decided(program, member, document, now).own
    (step,) = told.steps
    assert step.outcome.event_type is None
    if happened.status == "APPLIED":
        assert step.outcome.status == "SIMULATED"
        step.outcome.status = "APPLIED"
    assert replace(step.outcome, request=None, event_type=None) == replace(
        happened, request=None, event_type=None
    )
