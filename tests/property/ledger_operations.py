"""What each operation does to the model's wallets, point by point."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.property import ledger_faults, ledger_limits
from tests.property.ledger_limits import Refused
from tests.property.ledger_wallets import Change, Held, Purse, Token
from tests.property.tokens import FOREVER, first_instant_after, last_usable_day

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.property.ledger_model import Ask, Ledger
    from tests.property.ledger_wallets import Place


class Done(NamedTuple):
    """What an operation made of its wallet."""

    event: str | None
    points: int = 0
    forfeited: int = 0
    expires_at: datetime | None = None
    warnings: tuple[str, ...] = ()
    status: str = "APPLIED"


class Side(NamedTuple):
    """What an operation made of another wallet, before its own."""

    place: Place
    points: int
    expires_at: datetime | None


class Work:
    """One request at work on the wallet of a place."""

    def __init__(self, ledger: Ledger, ask: Ask, place: Place, now: datetime) -> None:
        self.ledger = ledger
        self.ask = ask
        self.document = ask.document
        self.place = place
        self.now = now
        self.purse = ledger.purse(place)
        self.today = now.astimezone(ZoneInfo(ledger.program.get("time_zone", "UTC"))).date()
        self.currency: dict[str, Any] = next(
            one for one in ledger.program["currencies"] if one["code"] == place[0]
        )
        self.side: Side | None = None

    def done(self, *, something_was_due: bool) -> Done:
        """Carry the request out."""
        if self.ask.operation == "SET_BALANCE":
            self.check_direction()
        if self.document.get("expected_version", self.purse.version) != self.purse.version:
            raise Refused("version_mismatch")
        if self.ask.operation == "EXPIRE":
            return Done("POINTS_EXPIRED") if something_was_due else Done(None, status="NO_CHANGE")
        done = _OPERATIONS[self.ask.operation](self)
        counted = self.ask.operation in {"ADJUST", "SET_BALANCE", "CAPTURE"}
        if counted and not self.document.get("bypass_caps"):
            self.purse.earned[self.today] += max(done.points, 0)
            self.purse.spent[self.today] += max(-done.points, 0)
        if operator := self.document.get("adjusted_by"):
            self.ledger.operators[operator, self.place[0], self.today] += abs(done.points)
        return done

    @property
    def may_owe(self) -> bool:
        """Whether the balance may become negative."""
        allowed = self.ledger.program.get("allow_negative")
        return bool(self.document.get("allow_negative") or allowed)

    @property
    def asked(self) -> int | None:
        """The request's points in minor units."""
        return self.units(self.document["points"]) if "points" in self.document else None

    def units(self, points: object) -> int:
        """An amount in minor units."""
        return int(Decimal(str(points)).scaleb(self.currency.get("decimals", 0)))

    def adjust(self) -> Done:
        """Change the wallet by an amount."""
        assert self.asked is not None
        return self.change(self.asked)

    def set_balance(self) -> Done:
        """Change the wallet to an amount."""
        assert self.asked is not None
        change = self.asked - self.purse.balance
        if change == 0:
            self.label(is_debit=False)
            return Done(None, status="NO_CHANGE")
        if self.asked < 0 < change and not self.may_owe:
            raise Refused("insufficient_points")
        return self.change(change)

    def check_direction(self) -> None:
        """Refuse a reason code that is not for the direction in which a balance is to be set."""
        assert self.asked is not None
        change = self.asked - self.purse.balance
        direction = "credit" if change > 0 else "debit" if change < 0 else None
        reason = self.document.get("reason_code")
        if ledger_faults.catalogue_faults(self.ledger.program, reason, direction):
            raise Refused("invalid_reason_code")

    def change(self, points: int) -> Done:
        """Change the wallet by so many points, as caps, limits, awards and permissions have it."""
        award, award_type, promotion = label = self.label(is_debit=points < 0)
        if points < 0:
            ledger_limits.limit(self, -points)
            ledger_limits.spend(self, -points)

            def aimed(token: Token) -> bool:
                return award in {None, token.award} and promotion in {None, token.promotion}

            most = self.purse.available
            if label != (None, None, None):
                most = min(most, len([one for one in self.purse.tokens if aimed(one)]))
            elif self.may_owe:
                most = -points
            if -points > most:
                raise Refused("insufficient_points")
            self.remember(self.purse.take(-points, aimed), is_credit=False)
            return Done("POINTS_ADJUSTED", points)
        given, warnings = ledger_limits.granted(self, points)
        ledger_limits.limit(self, points, given)
        expires_at = self.expiry()
        token = Token(expires_at, self.ledger.sequence + 1, *label)
        self.purse.total += given
        self.remember(self.purse.put(given, token), is_credit=True)
        if award is not None:
            self.ledger.awards[award] = award_type
        return Done("POINTS_ADJUSTED", given, points - given, expires_at, warnings)

    def hold(self) -> Done:
        """Set points aside."""
        assert self.asked is not None
        ledger_limits.limit(self, self.asked)
        if self.asked > self.purse.available and not self.may_owe:
            raise Refused("insufficient_points")
        lapses_at = self.now + timedelta(seconds=self.document.get("ttl_seconds", 48 * 3600))
        self.ledger.holds[self.ask.request_id] = Held(self.place, self.asked, lapses_at)
        self.purse.held += self.asked
        return Done("POINTS_HELD", expires_at=lapses_at)

    def capture(self) -> Done:
        """Take what is set aside, or a part."""
        held = self.held()
        points = held.points if self.asked is None else self.asked
        ledger_limits.limit(self, points)
        ledger_limits.spend(self, points)
        if points > held.points or (points > self.purse.balance and not self.may_owe):
            raise Refused("insufficient_points")
        self.ledger.end_hold(self.document["hold"])
        self.remember(self.purse.take(points), is_credit=False)
        return Done("POINTS_ADJUSTED", -points)

    def release(self) -> Done:
        """Let go of what is set aside."""
        self.held()
        self.ledger.end_hold(self.document["hold"])
        return Done("POINTS_RELEASED")

    def held(self) -> Held:
        """The hold that the request names."""
        hold = self.document["hold"]
        if hold in self.ledger.ended:
            raise Refused("hold_ended")
        if hold not in self.ledger.holds:
            raise Refused("unknown_hold")
        return self.ledger.holds[hold]

    def convert(self) -> Done:
        """Move points to the regular wallet."""
        points = self.purse.available if self.asked is None else self.asked
        ledger_limits.limit(self, max(points, 0))
        if points <= 0 or points > self.purse.available:
            raise Refused("insufficient_points")
        place = (self.place[0], "REGULAR")
        regular = self.ledger.purse(place)
        expires_at = self.expiry()
        taken = self.purse.take(points)
        labels = {token[2:] for token in taken if token}
        label = labels.pop() if len(labels) == 1 else (None, None, None)
        regular.total += points
        made = regular.put(points, Token(expires_at, self.ledger.sequence + 1, *label))
        self.side = Side(place, points, expires_at)
        self.remember(taken, made, is_credit=False)
        return Done("POINTS_CONVERTED", -points)

    def reverse(self) -> Done:
        """Undo the last points of a change, one by one."""
        original = self.ledger.changes.get(self.document["reverses"])
        if original is None:
            raise Refused("unknown_request")
        left = len(original.moved)
        points = left if self.asked is None else self.asked
        if points > left or not left:
            raise Refused("already_reversed")
        if original.is_credit:
            ledger_limits.limit(self, points)
            self.take_back(self.purse, original.moved, points)
            return Done("POINTS_ADJUSTED", -points)
        end = left - points
        back = original.moved[end:]
        expired = [token for token in back if token and token.expires_at <= self.now]
        ledger_limits.limit(self, points, points - len(expired))
        if original.operation == "CONVERT":
            place = (self.place[0], "REGULAR")
            self.take_back(self.ledger.purse(place), original.made, points)
            self.side = Side(place, -points, None)
        del original.moved[end:]
        # Its regular side, if it has one, takes a number first.
        lot = self.ledger.sequence + (2 if self.side else 1)
        new = Token(self.expiry(), lot)
        put = [
            given for token in back if token is None for given in self.purse.put(1, new) if given
        ]
        self.purse.tokens += [token for token in back if token and token not in expired]
        while self.purse.owed and self.purse.tokens:
            self.purse.tokens.remove(min(self.purse.tokens))
            self.purse.owed -= 1
        warnings: tuple[str, ...] = ()
        if expired:
            decimals = self.currency.get("decimals", 0)
            amount = Decimal(len(expired)).scaleb(-decimals)
            warnings = (f"expired_meanwhile:{amount:.{decimals}f}",)
        event = "POINTS_CONVERTED" if self.side else "POINTS_ADJUSTED"
        return Done(event, points - len(expired), 0, new[0] if put else None, warnings)

    def take_back(self, purse: Purse, given: list[Token | None], points: int) -> None:
        """Take out again what came in last: its own lot first; what had paid may be owed again."""
        end = len(given) - points
        in_lots = [token for token in given[end:] if token]
        if len(in_lots) > max(purse.available, 0) and not self.may_owe:
            raise Refused("insufficient_points")
        lots = {token.lot for token in given if token}
        del given[end:]
        purse.take(points, lambda token: token.lot in lots)

    def label(self, *, is_debit: bool) -> tuple[str | None, str | None, str | None]:
        """The award, its type and the promotion that the request names."""
        document, awards = self.document, self.ledger.awards
        award, award_type = document.get("award_id"), document.get("award_type")
        if award in awards and award_type not in {None, awards[award]}:
            raise Refused("invalid_award_type")
        if is_debit and award is not None and award not in awards:
            raise Refused("invalid_award")
        promotions = self.ledger.program.get("promotions", [])
        promotion = document.get("promotion_id")
        if promotion and promotions and promotion not in [one["id"] for one in promotions]:
            raise Refused("invalid_promotion")
        if identifier := document.get("promotion_identifier"):
            named = [one["id"] for one in promotions if one.get("identifier") == identifier]
            if not named:
                raise Refused("invalid_promotion")
            promotion = named[0]
        return award, awards.get(str(award), award_type), promotion

    def expiry(self) -> datetime:
        """When a credit made by this request expires."""
        program, document = self.ledger.program, self.document
        kind = document.get("expiration_type", "PROGRAM_RULES")
        if kind == "CUSTOM_DATE":
            return ledger_faults.custom(program, document["expiration_date"])
        rule = self.currency.get("expiry", {})
        if kind == "NON_EXPIRING" or rule.get("rule", "never") == "never":
            return FOREVER
        return first_instant_after(
            last_usable_day(rule, self.today), program.get("time_zone", "UTC")
        )

    def remember(
        self, moved: list[Token | None], made: list[Token | None] | None = None, *, is_credit: bool
    ) -> None:
        """Keep what can be undone."""
        self.ledger.changes[self.ask.request_id] = Change(
            self.place, self.ask.operation, is_credit, moved, len(moved), made or []
        )


_OPERATIONS: dict[str, Callable[[Work], Done]] = {
    "ADJUST": Work.adjust,
    "SET_BALANCE": Work.set_balance,
    "HOLD": Work.hold,
    "CAPTURE": Work.capture,
    "RELEASE": Work.release,
    "CONVERT": Work.convert,
    "REVERSE": Work.reverse,
}
