"""Whatever is sent ends as one outcome or one dead letter, and stops nothing (I5, I6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.siege import besiege

if TYPE_CHECKING:
    from tests.scene import Scene


async def test_five_thousand_hostile_messages_end_once_each_and_stop_nothing(scene: Scene) -> None:
    assert await besiege(scene, 5_000, seed=1) == []
