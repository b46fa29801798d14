"""A member's wallets as `balance` prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from worker.cli import showing

if TYPE_CHECKING:
    from worker.store import holdings
    from worker.store.views import StreamView


def show(view: holdings.MemberView, *, is_past: bool) -> None:
    """Print a member's wallets, and how many requests wait; say so where there are none."""
    if not view.wallets:
        yet = f"had no wallet at {showing.moment(view.at)}" if is_past else "has no wallet yet"
        showing.talk(f"Member {view.member_id} of programme {view.program_id} {yet}.")
    out = showing.console()
    if is_past and view.wallets:
        out.print(Text(f"As of {showing.moment(view.at)}", "bold"))
        out.print()
    for number, wallet in enumerate(view.wallets):
        if number:
            out.print()
        _print_wallet(wallet)
    if view.waiting and view.wallets:
        out.print()
    for stream in view.waiting:
        out.print(Text(showing.visible(_waiting(stream)), "yellow"))


def _waiting(stream: StreamView) -> str:
    what = "1 request waits" if stream.requests == 1 else f"{stream.requests:,} requests wait"
    of_stream = f" of stream {stream.stream}" if stream.stream else ""
    return f"{what} for ordinal {stream.ordinal}{of_stream}."


def _print_wallet(wallet: holdings.WalletView) -> None:
    out = showing.console()
    coming = wallet.next_expiry
    out.print(Text(f"{wallet.currency} {wallet.category}", "bold"))
    rows: dict[str, object] = {
        "balance": wallet.balance,
        "available": Text(wallet.available, "green"),
        "held": wallet.held if wallet.holds else None,
        "due": _due(wallet),
        "deficit": Text(wallet.deficit, "red") if float(wallet.deficit) else None,
        "total": f"{wallet.total} earned so far",
        "version": str(wallet.version),
        "next expiry": f"{coming.points} at {showing.moment(coming.expires_at)}"
        if coming
        else "none",
    }
    out.print(showing.facts(rows))
    if wallet.holds:
        holds = showing.table("hold", "points", "lapses", "", right=("points",), whole=("lapses",))
        for hold in wallet.holds:
            due = "due" if hold.is_due else ""
            holds.add_row(
                showing.visible(hold.hold_id), hold.points, showing.moment(hold.lapses_at), due
            )
        out.print()
        out.print(holds)
    if wallet.lots:
        _print_lots(wallet.lots)
    if wallet.lots_truncated:
        out.print(Text("There are more lots: see --lots.", "dim"))


def _print_lots(lots: list[holdings.LotView]) -> None:
    is_labelled = any(lot.award_id or lot.promotion_id for lot in lots)
    table = showing.table(
        "lot", "points", "expires", "", *(["awarded for"] if is_labelled else []),
        right=("lot", "points"), whole=("expires",),
    )  # fmt: skip
    for lot in lots:
        labels = []
        if lot.award_id:
            kind = f" ({lot.award_type})" if lot.award_type else ""
            labels.append(f"award {lot.award_id}{kind}")
        if lot.promotion_id:
            labels.append(f"promotion {lot.promotion_id}")
        cells = [
            lot.lot_id,
            lot.remaining,
            showing.moment(lot.expires_at),
            "due" if lot.is_due else "",
        ]
        if is_labelled:
            cells.append(showing.visible(", ".join(labels)))
        table.add_row(*cells, style="yellow" if lot.is_due else "")
    out = showing.console()
    out.print()
    out.print(table)


def _due(wallet: holdings.WalletView) -> Text | None:
    """Tell what has fallen due already, None where nothing has."""
    parts = []
    if any(lot.is_due for lot in wallet.lots) or float(wallet.due):
        parts.append(f"{wallet.due} expired")
    if float(wallet.held_due):
        parts.append(f"{wallet.held_due} no longer held")
    if not parts:
        return None
    return Text(f"{' and '.join(parts)}, to be taken out with the next request", "yellow")
