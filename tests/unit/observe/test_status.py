"""The worker is ready when nothing is wrong, and says what is wrong otherwise."""

from __future__ import annotations

from worker.observe.status import Status


class Clock:
    """A clock that is turned by hand."""

    seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_worker_is_not_ready_before_it_has_started() -> None:
    status = Status()

    assert [fault.condition for fault in status.faults()] == ["starting"]


def test_it_is_ready_when_the_last_fault_is_cleared() -> None:
    status = Status()
    status.set_fault("postgres", "connection refused, trying again")
    status.clear("starting")
    assert status.faults()

    status.clear("postgres")
    assert status.faults() == []


def test_clearing_what_was_not_wrong_does_nothing() -> None:
    status = Status()
    status.clear("rabbitmq")

    assert [fault.condition for fault in status.faults()] == ["starting"]


def test_a_fault_keeps_its_age_when_its_reason_changes() -> None:
    clock = Clock()
    status = Status(clock)
    status.clear("starting")
    status.set_fault("postgres", "connection refused")
    clock.seconds += 3
    status.set_fault("postgres", "the server is starting up")
    clock.seconds += 2

    assert status.faults() == [("postgres", "the server is starting up", 5.0)]


def test_a_condition_lasts_until_each_of_its_holders_has_cleared_it() -> None:
    status = Status()
    status.clear("starting")
    status.set_fault("publish", "refused by the broker", holder="lane 3")
    status.set_fault("publish", "blocked", holder="lane 4")
    status.clear("publish", holder="lane 3")

    assert [fault[:2] for fault in status.faults()] == [("publish", "lane 4: blocked")]
    status.clear("publish", holder="lane 4")
    assert status.faults() == []


def test_a_reason_never_shows_a_password() -> None:
    status = Status()
    status.set_fault("rabbitmq", "cannot reach amqp://till:hush@broker")

    assert "hush" not in str(status.faults())


def test_the_last_turn_of_the_loop_has_an_age() -> None:
    clock = Clock()
    status = Status(clock)
    clock.seconds += 7
    assert status.turn_age_seconds() == 7

    status.turn()
    assert status.turn_age_seconds() == 0
