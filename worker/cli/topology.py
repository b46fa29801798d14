"""`topology declare` and `topology show`: what must exist on the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.text import Text

from worker.broker.client import queue_count
from worker.broker.topology import Topology, verify
from worker.cli.command import Json, broker, carry_out
from worker.cli.showing import console, facts, moment, table, talk, write_json
from worker.exits import EXIT_FAULT_FOUND, EXIT_OK
from worker.readiness import agreed, declare_topology

if TYPE_CHECKING:
    from worker.broker.client import QueueCount
    from worker.settings import Settings
    from worker.store.agreement import Agreement

topology = typer.Typer(
    no_args_is_help=True, help="Declare and show the exchanges and queues on the broker."
)


@topology.command()
def declare(*, as_json: Json = False) -> None:
    """Make what is missing on the broker, and record the first declaration for all workers.

    JSON: generation, prefix, partitions, prefetch, declared_at.

    Example: POINTS_PARTITIONS=16 points-worker topology declare
    """

    async def work(settings: Settings) -> int:
        agreement = await declare_topology(settings)
        if as_json:
            write_json(agreement)
        else:
            talk("The topology is declared.")
            console().print(_facts(agreement))
        return EXIT_OK

    carry_out(work)


@topology.command()
def show(*, as_json: Json = False) -> None:
    """Show what the workers agreed on, and whether the broker has it.

    Ends with 3 if the broker differs. Bindings cannot be asked for over AMQP and are not verified.

    JSON: agreement (as declare prints it), exchanges (name, type, arguments), queues (name,
    arguments, ready, consumers), bindings (how many there should be), and faults.

    Example: points-worker topology show
    """

    async def work(settings: Settings) -> int:
        agreement = await agreed(settings)
        described = Topology(agreement.prefix, agreement.generation, agreement.partitions)
        async with broker(settings) as connection:
            faults = await verify(connection, described)
            counts = {
                queue.name: await queue_count(connection, queue.name) for queue in described.queues
            }
        if as_json:
            write_json(_document(agreement, described, counts, faults))
        else:
            _print(agreement, described, counts, faults)
        return EXIT_FAULT_FOUND if faults else EXIT_OK

    carry_out(work)


def _facts(agreement: Agreement) -> object:
    return facts(
        {
            "prefix": agreement.prefix,
            "generation": agreement.generation,
            "partitions": agreement.partitions,
            "prefetch": agreement.prefetch,
            "last declared at": moment(agreement.declared_at),
        }
    )


def _document(
    agreement: Agreement,
    described: Topology,
    counts: dict[str, QueueCount | None],
    faults: list[str],
) -> dict[str, object]:
    return {
        "agreement": agreement,
        "exchanges": [
            {"name": exchange.name, "type": exchange.kind, "arguments": exchange.arguments}
            for exchange in described.exchanges
        ],
        "queues": [
            {
                "name": queue.name,
                "arguments": queue.arguments,
                "ready": count.ready if count else None,
                "consumers": count.consumers if count else None,
            }
            for queue in described.queues
            for count in [counts[queue.name]]
        ],
        "bindings": len(described.bindings),
        "faults": faults,
    }


def _print(
    agreement: Agreement,
    described: Topology,
    counts: dict[str, QueueCount | None],
    faults: list[str],
) -> None:
    queues = table(
        "queue", "ready", "consumers", "buckets", right=("ready", "consumers", "buckets")
    )
    for queue in described.queues:
        count = counts[queue.name]
        buckets = sum(
            binding.queue == queue.name and binding.exchange.endswith(".adjustments")
            for binding in described.bindings
        )
        cells = (str(count.ready), str(count.consumers)) if count else ("missing", "")
        queues.add_row(queue.name, *cells, str(buckets) if buckets else "")
    exchanges = table("exchange", "type")
    for exchange in described.exchanges:
        exchanges.add_row(exchange.name, exchange.kind)
    out = console()
    for part in (_facts(agreement), exchanges, queues):
        out.print(part)
        out.print()
    for fault in faults:
        out.print(Text(fault, "red"))
    if not faults:
        out.print(Text("The broker has every exchange and queue as it must be.", "green"))
