"""Packing: which rows share a sequence, so that hardly any padding is computed."""

from bisect import bisect_left, insort
from collections.abc import Sequence

from limbeck.core.errors import RowError
from limbeck.core.seeds import generator


def pack(lengths: Sequence[int], capacity: int, seed: int) -> list[list[int]]:
    """Indices of the rows in each pack, by best-fit-decreasing; every index once.

    Long rows are placed first, each into the fullest pack that still has room. The seed breaks
    ties between rows of one length, and shuffles the packs and the rows within each.

    Args:
        lengths: tokens of each row.
        capacity: most tokens of a pack.
        seed: same seed, same packs.

    Raises:
        RowError: a row is longer than `capacity`.
    """
    if len(lengths) and max(lengths) > capacity:
        raise RowError(f"rows must fit into a pack of {capacity} tokens, got one of {max(lengths)}.")
    random = generator(seed, "pack")
    order = sorted(random.permutation(len(lengths)).tolist(), key=lambda index: -lengths[index])
    packs: list[list[int]] = []
    open_packs: dict[int, list[int]] = {}  # room left -> packs with exactly that room
    rooms: list[int] = []  # the keys of open_packs, sorted
    for index in order:
        length = int(lengths[index])
        position = bisect_left(rooms, length)
        if position == len(rooms):
            number, room = len(packs), capacity
            packs.append([])
        else:
            room = rooms[position]
            number = open_packs[room].pop()
            if not open_packs[room]:
                del open_packs[room], rooms[position]
        packs[number].append(index)
        if room > length:
            if room - length not in open_packs:
                insort(rooms, room - length)
            open_packs.setdefault(room - length, []).append(number)
    for one in packs:
        random.shuffle(one)
    random.shuffle(packs)
    return packs
