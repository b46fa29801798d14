"""The log: one line per fact on standard error, with stable keys and no secrets.

Whoever logs takes ``structlog.get_logger("worker.lane")`` and names the fact by a snake_case key:
``_log.info("batch", requests=500)``. What libraries log becomes the event ``library_message`` and
is kept from warnings upwards. Loggers are not cached, so that `configure` counts for all of them.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

import structlog

from worker.masking import MASK, is_secret_name, mask

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

    from worker.settings import LogFormat, LogLevel

# The parent of every logger of ours; all others belong to libraries.
_OURS = "worker"

# Deeper values are cut to their text, which bounds what one line can cost.
_DEPTH_MAX = 8


def configure(
    level: LogLevel,
    format: LogFormat,  # noqa: A002 - it is called as the setting is.
    *,
    worker_id: str,
    version: str,
    stream: TextIO | None = None,
) -> None:
    """Send everything that is logged in this process to `stream`, by default standard error.

    `format` "auto" means "console" on a terminal and "json" elsewhere. Every line is written out
    at once and carries `worker_id` and `version`. Calling it again replaces what was configured.
    """
    stream = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and stream.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    severity = logging.getLevelNamesMapping()[level.upper()]

    def bind_process(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.update(worker_id=worker_id, version=version)
        return event

    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        bind_process,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _as_library_message],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                # The traceback as plain text: pretty ones show local variables, that is payloads.
                structlog.processors.format_exc_info,
                hide_secrets,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(severity, logging.WARNING))
    logging.getLogger(_OURS).setLevel(severity)


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask every secret in an event, wherever it stands in whatever kind of value."""
    return {str(key): _masked(str(key), value, 0) for key, value in event.items()}


def _masked(name: str, value: object, depth: int) -> object:
    if value is None:
        return None
    if is_secret_name(name):
        return MASK
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict) and depth < _DEPTH_MAX:
        return {mask(str(key)): _masked(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH_MAX:
        return [_masked("", inner, depth + 1) for inner in value]
    # Anything else would be turned to text by the renderer, where it is too late to look into it.
    return mask(repr(value) if isinstance(value, BaseException) else str(value))


def _as_library_message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep `event` a stable key where a library has put a sentence."""
    event.update(event="library_message", message=event["event"])
    return event
