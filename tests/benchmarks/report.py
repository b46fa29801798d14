"""Shows the results as one table for people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from tests.benchmarks.results import PARTS, spread

if TYPE_CHECKING:
    from rich.console import Console

    from tests.benchmarks.results import Results, Spread

WIDTH_MIN = 120


def show(results: Results, console: Console) -> None:
    """Print what was measured."""
    console.print()
    rabbitmq, postgres = results.versions["rabbitmq"], results.versions["postgres"]
    console.print(
        f"RabbitMQ {rabbitmq}, PostgreSQL {postgres} (fsync on), {os.cpu_count()} cores for"
        f" everything; medians of {results.runs} runs, least to most behind them."
    )
    if results.rows:
        console.print(_drains(results))
    console.print(_lone(results))
    console.print(
        "A backlog is published first; then one process drains it. The clock runs from its first"
        " consumer until the durable queue of events (and that of replies) holds one message for"
        " each request.\n"
        "µs: CPU per request, user and system, of the process with its descendants. others: cores"
        " that everything else on the machine used meanwhile, the measuring included.\n"
        "relay: takes batches and republishes them, confirmed, without reading, rules or database."
        " careful: a transaction, a confirmed event and an acknowledgement for each request.",
        style="dim",
    )


def _drains(results: Results) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    table.add_column("drained by", no_wrap=True)
    table.add_column("per second", justify="right", no_wrap=True)
    table.add_column("of relay", justify="right", no_wrap=True)
    for part in PARTS:
        table.add_column(f"{part} µs", justify="right", no_wrap=True)
    table.add_column("others", justify="right", no_wrap=True)
    for name, row in results.rows.items():
        ratio = results.ratio_to_relay(row)
        table.add_row(
            name,
            _text(row.rate, ",.0f"),
            "-" if ratio is None else f"{ratio:.0%}",
            *(_median(row.microseconds(part), ".0f") for part in PARTS),
            _median(row.other_cores, ".2f"),
        )
    return table


def _lone(results: Results) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    latency = results.latency_ms
    for name, found, form, unit in (
        ("one request at a time, to its reply: median", latency["median"], ".1f", "ms"),
        ("one request at a time, to its reply: 95 % within", latency["p95"], ".1f", "ms"),
        ("commits to disk, one connection", spread(results.commit_rates), ",.0f", "/s"),
        ("speed of this machine's Python", spread(results.speed_indexes), ".2f", "steps/µs"),
    ):
        if found is not None:
            table.add_row(name, f"{_text(found, form)} {unit}")
    return table


def _median(found: Spread | None, form: str) -> str:
    return "-" if found is None else format(found.median, form)


def _text(found: Spread | None, form: str) -> str:
    if found is None:
        return "-"
    median, least, most = (format(value, form) for value in found)
    return median if least == most else f"{median} ({least} to {most})"
