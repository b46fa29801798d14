"""How the demo looks: headings, tables, and a live view (plain lines where no terminal is)."""

from __future__ import annotations

import json
import shlex
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import orjson
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schemas.names import DEFAULT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from worker.demo.audit import Check
    from worker.demo.process import WorkerProcess
    from worker.demo.stories import Step, Story
    from worker.demo.traffic import Traffic

WIDTH_MAX = 110
BAR_WIDTH = 40
_OUTCOME_WIDTH = 33
LINE_SECONDS = 1.0
REFRESH_PER_SECOND = 12
_YES, _NO = Text("\N{CHECK MARK}", "green"), Text("\N{BALLOT X}", "bold red")


@dataclass(slots=True)
class Stage:
    """What is going on in the second act."""

    traffic: Traffic
    count: int
    worker: str
    happened: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    before: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        traffic = self.traffic
        self.before = len(traffic.published), len(traffic.replies), len(traffic.event_ids)

    def tell(self, what: str) -> None:
        """Say what became of the worker."""
        self.happened.append(self.worker)
        self.worker = what

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started

    @property
    def counts(self) -> tuple[int, int, int]:
        """How much was published, answered, and told by an event."""
        traffic = self.traffic
        now = len(traffic.published), len(traffic.replies), len(traffic.event_ids)
        published, answered, told = (n - b for n, b in zip(now, self.before, strict=True))
        return published, answered, told


class Screen:
    """Writes to standard output, or to standard error where that is for JSON."""

    def __init__(self, *, as_json: bool) -> None:
        console = Console(stderr=as_json, markup=False, emoji=False, highlight=False)
        width = min(console.width, WIDTH_MAX) if console.is_terminal else WIDTH_MAX
        self._console = Console(
            stderr=as_json, markup=False, emoji=False, highlight=False, width=width
        )

    def opening(self) -> None:
        """Say what is about to be seen."""
        self._console.print(Text("points-worker", "bold"), Text("demonstration", "dim"), "\n")

    def say(self, text: str) -> None:
        """Say one thing."""
        self._console.print(Padding(Text(text, "dim"), (0, 0, 0, 2), expand=False))

    def heading(self, number: int, text: str) -> None:
        """Begin an act."""
        self._console.print()
        self._console.print(Text(f"{number}  {text}", "bold"))
        self._console.print()

    def stories(self, told: Sequence[tuple[Story, Step, Mapping[str, Any] | None, bool]]) -> None:
        """Show each request and what came of it, page by page."""
        for story, steps in groupby(told, key=lambda item: item[0]):
            self._print(Text.assemble((story.vendor, "bold"), ("   " + story.page, "dim")))
            grid = Table.grid(padding=(0, 2), expand=True)
            grid.add_column(ratio=1, overflow="fold")
            grid.add_column(width=_OUTCOME_WIDTH, overflow="fold")
            grid.add_column(width=5, justify="right")
            grid.add_column(width=1)
            for _, step, outcome, right in steps:
                request = " ".join(f"{name}={_value(step.fields[name])}" for name in step.fields)
                grid.add_row(
                    Text.assemble(step.says, ("\n" + request, "dim")),
                    _outcome(outcome) if step.dialect is None else _answer(outcome),
                    str((outcome or {}).get("balance") or ""),
                    _YES if right else _NO,
                )
            self._console.print(Padding(grid, (0, 0, 1, 4)))

    @contextmanager
    def live(self, stage: Stage) -> Iterator[None]:
        """Show the stage for as long as the context lasts."""
        if self._console.is_terminal:
            with Live(
                get_renderable=lambda: _progress(stage),
                console=self._console,
                refresh_per_second=REFRESH_PER_SECOND,
            ):
                yield
            return
        over = threading.Event()
        writer = threading.Thread(target=self._write_lines, args=(stage, over))
        writer.start()
        try:
            yield
        finally:
            over.set()
            writer.join()

    def _write_lines(self, stage: Stage, over: threading.Event) -> None:
        """Write a line every now and then, and the last one when it is over."""
        while not over.wait(LINE_SECONDS):
            self.say(_line(stage))
        self.say(_line(stage))
        for what in [*stage.happened, stage.worker]:
            self.say(f"worker: {what}")

    def burst_told(self, count: int, seconds: float, *, by_door: int, repeats: int) -> None:
        """Sum the second act up."""
        self._console.print()
        self.say(
            f"{count:,} messages in {seconds:.1f} s, whatever happened meanwhile included;"
            f" {repeats:,} of them sent twice, {by_door:,} through the door."
        )

    def third_act(self, found: Sequence[Check]) -> None:
        """Show the audit, and how to make it oneself."""
        self.heading(3, "The audit")
        table = _table("", "", "should be", "is", "")
        for number, check in enumerate(found, 1):
            is_ = Text(check.found, "" if check.holds else "bold red")
            if check.note:
                is_.append(f"\n{check.note}", "dim")
            table.add_row(
                Text(str(number), "dim"),
                check.name,
                check.expected,
                is_,
                _YES if check.holds else _NO,
            )
        self._print(table)
        self._console.print()
        self.say("To check it yourself while the servers run (points-worker demo --keep):")
        ways = Table.grid(padding=(0, 1))
        for number, check in enumerate(found, 1):
            ways.add_row(Text(str(number), "dim"), Text(" ".join(check.how.split()), "dim"))
        self._print(ways)

    def closing(self, *, holds: bool) -> None:
        """Say how it ended."""
        self._console.print()
        if holds:
            self._console.print(Text("  All holds.", "bold green"))
        else:
            self._console.print(Text("  Something does not hold: see above.", "bold red"))

    def kept(self, started: Mapping[str, str], prefix: str, worker: WorkerProcess) -> None:
        """Say where everything is while it is kept running.

        `started` has the addresses, by variable, of the servers that nobody named.
        """
        self._console.print()
        self._console.print(Text("  Servers and worker keep running; Ctrl-C ends them.", "bold"))
        lines = [f"export {name}={shlex.quote(url)}" for name, url in started.items()]
        if prefix != DEFAULT_PREFIX:
            lines.append(f"export POINTS_PREFIX={shlex.quote(prefix)}")
        lines += [
            'psql "$DATABASE_URL"   # for the SQL above',
            f"curl http://127.0.0.1:{worker.http_port}/metrics",
            f"tail -f {worker.log_path}",
        ]
        for line in lines:
            # Never folded: it is to be copied.
            self._console.print(f"    {line}", soft_wrap=True)

    def json(self, document: Mapping[str, Any]) -> None:
        """Write the whole result to standard output."""
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
        sys.stdout.flush()

    def _print(self, renderable: RenderableType) -> None:
        self._console.print(Padding(renderable, (0, 0, 0, 2), expand=False))


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _value(value: object) -> str:
    text = str(value)
    return f"'{text}'" if " " in text else text


def _outcome(outcome: Mapping[str, Any] | None) -> Text:
    if outcome is None:
        return Text("no answer", "bold red")
    if outcome["error"]:
        return Text(f"REJECTED {outcome['error']['key']}", "yellow")
    expires = next((lot["expires_at"] for lot in outcome["lots"] if lot["expires_at"]), None)
    points = int(outcome["points"])
    text = Text(f"APPLIED {points:+}" if points else "APPLIED", "green")
    if outcome["available"] != outcome["balance"]:
        text.append(f", {outcome['available']} available", "dim")
    if expires is not None:
        text.append(f", expires {expires[:10]}", "dim")
    return text


def _answer(reply: Mapping[str, Any] | None) -> Text:
    """Show a vendor's reply, which is JSON of another form, as it came."""
    if reply is None:
        return Text("no answer", "bold red")
    return Text(json.dumps(reply), "green")


def _progress(stage: Stage) -> RenderableType:
    """Draw the live view."""
    grid = Table.grid(padding=(0, 2))
    for name, done in zip(("published", "answered", "events"), stage.counts, strict=True):
        grid.add_row(
            Text(f"  {name}", "dim"),
            ProgressBar(total=stage.count, completed=done, width=BAR_WIDTH),
            Text(f"{done:,}", justify="right"),
        )
    rate = stage.counts[1] / max(stage.seconds, 0.001)
    state = Table.grid(padding=(0, 2))
    for what in stage.happened:
        state.add_row(Text("  worker   ", "dim"), Text(what, "dim"))
    state.add_row(
        Text("  worker   ", "dim"),
        Text(stage.worker, "bold red" if stage.worker.startswith("killed") else "green"),
    )
    state.add_row(Text("  rate     ", "dim"), Text(f"{rate:,.0f}/s"))
    return Group(grid, "", state)


def _line(stage: Stage) -> str:
    published, answered, told = stage.counts
    return (
        f"{stage.seconds:5.1f} s   published {published:>7,}   answered {answered:>7,}"
        f"   events {told:>7,}   {answered / max(stage.seconds, 0.001):>7,.0f}/s"
    )
