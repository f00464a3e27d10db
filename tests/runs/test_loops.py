"""A loop beside this thread: its work goes on meanwhile, also where another runs, and ends with the block."""

import asyncio
import threading
import time

import pytest

from limbeck.runs.assembly.loops import open_loop


async def counted(numbers: list[int], closed: list[bool]):
    try:
        for number in range(100):
            numbers.append(number)
            yield number
    finally:
        closed.append(True)


def test_items_come_in_order_and_are_let_go_of_when_they_are_not_read_to_the_end():
    numbers, closed = [], []
    with open_loop() as loop:
        each = loop.each(counted(numbers, closed))
        assert [next(each), next(each)] == [0, 1]
        each.close()
        assert closed == [True] and numbers == [0, 1]
        assert sum(loop.each(counted([], []))) == 4950


def test_work_goes_on_while_this_thread_computes_also_where_a_loop_runs_here():
    done, tasks = threading.Event(), []

    async def soon() -> None:
        await asyncio.sleep(0.01)
        done.set()

    async def begun() -> None:
        tasks.append(asyncio.create_task(soon()))

    async def notebook() -> bool:
        with open_loop() as loop:
            loop.finished(begun())
            return done.wait(5)

    assert asyncio.run(notebook())


def test_an_error_is_raised_here_and_what_is_under_way_ends_with_the_block():
    ended, tasks = [], []

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def fails() -> None:
        tasks.append(asyncio.create_task(endless()))
        await asyncio.sleep(0)
        raise KeyError("here")

    began = time.monotonic()
    with pytest.raises(KeyError), open_loop() as loop:
        loop.finished(fails())
    assert ended == [True] and time.monotonic() - began < 5
