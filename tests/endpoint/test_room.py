"""What is under way together is bounded in tokens, and nothing waits for ever."""

import asyncio

from limbeck.endpoint.room import Room


def most_together(room: Room, sizes: list[int]) -> int:
    """The most tokens that were in the room at one time, when all ask at once."""
    inside, most = 0, 0

    async def one(size: int) -> None:
        nonlocal inside, most
        async with room.take(size):
            inside += size
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= size

    async def run() -> None:
        await asyncio.gather(*map(one, sizes))

    asyncio.run(run())
    return most


def test_tokens_together_fill_the_room_and_no_more():
    assert most_together(Room(10), [4, 4, 4, 2, 10, 3]) == 10


def test_what_is_larger_than_the_room_has_it_alone():
    assert most_together(Room(10), [3, 25, 3]) == 25


def test_a_failure_inside_leaves_its_room():
    async def run() -> None:
        room = Room(5)
        try:
            async with room.take(5):
                raise ValueError
        except ValueError:
            pass
        async with asyncio.timeout(1), room.take(5):
            pass

    asyncio.run(run())
