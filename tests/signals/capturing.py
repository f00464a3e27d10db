"""A capture in a process of its own, slow enough to be killed: `python -m tests.signals.capturing DIR`."""

import sys
import time
from pathlib import Path

from limbeck.core.batch import Batch
from limbeck.core.outputs import Outputs
from tests.signals.world import World

ROWS, SHARD_TOKENS = 60, 128
SECONDS_A_BATCH = 0.05


class Slow(World):
    """A teacher that takes its time."""

    def answer(self, batch: Batch) -> Outputs:
        """After a while."""
        time.sleep(SECONDS_A_BATCH)
        return super().answer(batch)


if __name__ == "__main__":
    world = Slow(ROWS)
    print("ready", flush=True)
    world.capture(Path(sys.argv[1]), shard_tokens=SHARD_TOKENS)
