"""`doctor`: whether a worker could work here, and how to mend what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from rich.text import Text

from schemas.topology import dead
from worker.broker import BrokerError, BrokerRefused
from worker.broker.client import queue_count, server_version
from worker.broker.topology import Topology, verify
from worker.cli.command import Json, broker, carry_out
from worker.cli.showing import PIPED_WIDTH, console, facts, table, visible, write_json
from worker.dialects.jwe import Keyring
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK
from worker.identifiers import key_digest
from worker.masking import mask
from worker.readiness import NotReady, check, remedy_for
from worker.settings import BadSettings
from worker.store.agreement import Agreement, read_agreement
from worker.store.directory import Directory
from worker.store.faults import PassingFault
from worker.store.migrate import EditedMigration, missing_migrations
from worker.store.pool import connected
from worker.store.views import server_view, view_pool

if TYPE_CHECKING:
    from worker.broker import WireConnection
    from worker.settings import Settings

Verdict = Literal["ok", "warning", "fault"]

_STYLES: Final[dict[Verdict, str]] = {"ok": "green", "warning": "yellow", "fault": "red"}
_DECLARE: Final = "Run `points-worker topology declare`."


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and for what is not ok how to mend it."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""


@dataclass(slots=True)
class Report:
    """All findings so far, in the order of the checks."""

    findings: list[Finding] = field(default_factory=list)

    def ok(self, subject: str, text: str) -> None:
        """Note that something is as it must be."""
        self.findings.append(Finding(subject, "ok", text))

    def warn(self, subject: str, text: str, remedy: str) -> None:
        """Note what a worker can work with, but somebody should look at."""
        self.findings.append(Finding(subject, "warning", text, remedy))

    def fault(self, subject: str, text: str, remedy: str) -> None:
        """Note what keeps a worker from working."""
        self.findings.append(Finding(subject, "fault", mask(text), remedy))

    @property
    def has_faults(self) -> bool:
        """Whether anything keeps a worker from working."""
        return any(finding.verdict == "fault" for finding in self.findings)


def doctor(*, as_json: Json = False) -> None:
    """Check settings, servers, schema, topology and privileges, and say how to mend what is wrong.

    Ends with 3 if a fault was found. Passwords are not shown.

    JSON: ok, checks (subject, verdict, text, remedy) and settings.

    Example: points-worker doctor
    """

    async def work(settings: Settings) -> int:
        report = Report()
        agreement = await _check_postgres(settings, report)
        await _check_rabbitmq(settings, report, agreement)
        if not report.has_faults:
            await _check_whole(settings, report)
            await _check_keys(settings, report)
        if as_json:
            write_json(_document(settings, report))
        else:
            _print(settings, report)
        return EXIT_FAULT_FOUND if report.has_faults else EXIT_OK

    carry_out(work)


async def _check_postgres(settings: Settings, report: Report) -> Agreement | None:
    """Check the database; return what the workers agreed on, if that stands there."""
    url = settings.database_url.get_secret_value()
    try:
        server = await server_view(url)
        report.ok("postgres", f"version {server.version}, as user {server.login}")
        missing = await missing_migrations(url)
        agreement = None
        if not missing:
            async with connected(url) as connection:
                agreement = await read_agreement(connection)
    except PassingFault as error:
        report.fault("postgres", str(error), "Check DATABASE_URL and that the server runs.")
        return None
    except EditedMigration as error:
        report.fault("migrations", str(error), "Use that version.")
        return None
    if missing:
        report.fault("migrations", f"{', '.join(missing)} missing", "Run `points-worker migrate`.")
        return None
    report.ok("migrations", "all applied")
    if agreement is None:
        report.fault("agreement", "the topology was never declared", _DECLARE)
    else:
        report.ok(
            "agreement",
            f"generation {agreement.generation}, {agreement.partitions} partitions, prefetch"
            f" {agreement.prefetch}, prefix {agreement.prefix}",
        )
    if not server.can_take_role:
        report.fault(
            "role",
            f"{server.login} may not take the role points_worker",
            f"Run as a superuser: GRANT points_worker TO {server.login}",
        )
    elif server.can_change_journal:
        report.fault(
            "role",
            "points_worker can change or delete lines of the journal",
            "Run as the owner: REVOKE UPDATE, DELETE, TRUNCATE ON points.journal FROM"
            " points_worker, PUBLIC; it must be no superuser and own no table.",
        )
    else:
        report.ok("role", "points_worker can add to the journal, and not change it")
    if not server.is_durable:
        report.warn(
            "durability",
            "a power cut can lose what was acknowledged",
            "Set fsync, full_page_writes and synchronous_commit to on in Postgres.",
        )
    return agreement


async def _check_rabbitmq(settings: Settings, report: Report, agreement: Agreement | None) -> None:
    try:
        async with broker(settings) as connection:
            report.ok("rabbitmq", f"version {server_version(connection)}")
            if agreement is not None:
                await _check_topology(connection, report, agreement)
    except BrokerError as error:
        report.fault("rabbitmq", str(error), "Check AMQP_URL and that the broker runs.")


async def _check_topology(connection: WireConnection, report: Report, agreement: Agreement) -> None:
    described = Topology(agreement.prefix, agreement.generation, agreement.partitions)
    try:
        differences = await verify(connection, described)
    except BrokerRefused as error:
        report.fault("topology", str(error), "")
        return
    for difference in differences:
        report.fault("topology", difference, remedy_for(difference))
    if differences:
        return
    queues = len(described.queues)
    report.ok("topology", f"{len(described.exchanges)} exchanges and {queues} queues as declared")
    letters = await queue_count(connection, dead(agreement.prefix))
    if letters and letters.ready:
        report.warn(
            "dead letters", f"{letters.ready} wait", "Run `points-worker dead-letters list`."
        )
    else:
        report.ok("dead letters", "none")
    idle = [
        queue
        for queue in described.partition_queues
        if (count := await queue_count(connection, queue)) and not count.consumers
    ]
    if idle:
        report.warn(
            "workers",
            f"{len(idle)} of {agreement.partitions} lanes have no worker",
            "Run `points-worker run`.",
        )
    else:
        report.ok("workers", "every lane has one")


async def _check_keys(settings: Settings, report: Report) -> None:
    """Check that identifiers and encrypted messages can be read, where there are any."""
    try:
        Keyring.load(settings.jwe_private_keys, settings.jwe_public_keys)
    except BadSettings as error:
        for fault in error.faults:
            report.fault("keys", fault, "")
    key = settings.identifier_key
    async with view_pool(settings) as pool:
        found = await Directory(pool).key_fault(key_digest(key.get_secret_value()) if key else None)
    waits = "the door waits at the first request that comes by one"
    remedy = "Set it as it was when they were stored."
    if found == "missing":
        report.warn(
            "identifiers",
            f"some are stored, and POINTS_IDENTIFIER_KEY is not set here: without it {waits}",
            remedy,
        )
    elif found == "other":
        report.fault(
            "identifiers",
            f"POINTS_IDENTIFIER_KEY is another than when some were stored: with it {waits}",
            remedy,
        )


async def _check_whole(settings: Settings, report: Report) -> None:
    """Ask what a starting worker asks, which is also whether its settings agree with the others."""
    try:
        await check(settings)
    except NotReady as error:
        report.fault("settings", str(error), "")
    else:
        report.ok("settings", "prefix, lanes, prefetch and batches are as the workers agreed")


def _document(settings: Settings, report: Report) -> dict[str, object]:
    return {
        "ok": not report.has_faults,
        "checks": report.findings,
        "settings": [described._asdict() for described in settings.described()],
    }


def _print(settings: Settings, report: Report) -> None:
    out = console(piped_width=PIPED_WIDTH)
    out.print(facts({described.name: described.value or "-" for described in settings.described()}))
    out.print()
    rows = table("check", "", "", whole=("check",))
    for finding in report.findings:
        told = Text(visible(finding.text))
        if finding.remedy:
            told.append(f"\n→ {finding.remedy}", "bold")
        rows.add_row(finding.subject, Text(finding.verdict, _STYLES[finding.verdict]), told)
    out.print(rows)
