"""A bound on what is under way together, in tokens: long prompts have long answers, and all lie in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Room:
    """Lets work in until its tokens fill the room; what alone is larger has it for itself."""

    def __init__(self, tokens: int) -> None:
        self._tokens, self._taken = tokens, 0
        self._left = asyncio.Condition()

    @asynccontextmanager
    async def take(self, tokens: int) -> AsyncIterator[None]:
        """Room for so many tokens until the block ends, in the order of asking."""
        async with self._left:
            await self._left.wait_for(lambda: not self._taken or self._taken + tokens <= self._tokens)
            self._taken += tokens
        try:
            yield
        finally:
            async with self._left:
                self._taken -= tokens
                self._left.notify_all()
