"""What `tests/end_to_end/test_hostile_messages.py` asks for, many times over (I5, I6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.siege import besiege

if TYPE_CHECKING:
    from tests.scene import Scene


async def test_a_hundred_thousand_hostile_messages_end_once_each_and_stop_nothing(
    scene: Scene,
) -> None:
    assert await besiege(scene, 100_000, seed=2) == []
