"""What can go wrong between the worker and the broker, each with the one thing to do about it."""

from __future__ import annotations


class BrokerError(Exception):
    """Something went wrong between the worker and the broker."""


class BrokerUnreachable(BrokerError):
    """Nobody answers at the broker's address: waiting and trying again may help."""


class BrokerRefused(BrokerError):
    """The broker answers and says no (user, password, virtual host): trying again will not help."""


class SessionLost(BrokerError):
    """The session with the broker is over: drop what is in hand and open another one."""


class Unpublishable(BrokerError, ValueError):
    """A publication cannot be put on the wire, or the broker would close the channel over it."""


class TopologyDiffers(BrokerError):
    """Something exists on the broker with other properties than it must have."""


class NotTaken(BrokerError):
    """The broker did not take a publication: no queue for it, or the queue refuses it."""
