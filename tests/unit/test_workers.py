"""The bounded pool: what it refuses, and that large batches let others through."""

import asyncio
import threading
from functools import partial

import pytest

from app.errors import Overloaded
from app.workers import WorkerPool


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_request_beyond_max_pending_is_overloaded_and_later_ones_are_not() -> None:
    pool = WorkerPool(threads=1, max_pending=2, max_wait_s=60)
    go = threading.Event()
    first, second = pool.submit(go.wait), pool.submit(lambda: "second")

    with pytest.raises(Overloaded) as caught:
        pool.submit(lambda: "third")

    assert caught.value.retry_after_s == 1
    go.set()
    assert (first.result(), second.result()) == (True, "second")
    pool.close()
    assert pool.pending == 0


def test_those_who_are_refused_come_back_one_after_the_other() -> None:
    clock = FakeClock()
    pool = WorkerPool(threads=2, max_pending=3, max_wait_s=60, clock=clock)

    def task() -> None:
        clock.now_s += 0.5

    for _ in range(200):  # a task takes half a second, so four a second are answered
        pool.submit(task).result()
    with pool.admitted(), pool.admitted(), pool.admitted():
        waits = [refused_for(pool) for _ in range(200)]

        assert waits[:5] == [1, 2, 2, 2, 2]  # three are pending
        assert waits[40] == 11
        assert waits[-1] == 30  # nobody is sent away for longer
        clock.now_s += 60
        assert refused_for(pool) == 1
    pool.close()


def refused_for(pool: WorkerPool) -> int:
    with pytest.raises(Overloaded) as caught:
        pool.require_room()
    return caught.value.retry_after_s


def test_task_that_waited_too_long_is_overloaded() -> None:
    clock = FakeClock()
    pool = WorkerPool(threads=1, max_pending=9, max_wait_s=2.0, clock=clock)
    begun, go = threading.Event(), threading.Event()

    def task() -> bool:
        begun.set()
        return go.wait()

    first, second = pool.submit(task), pool.submit(lambda: "too late")

    begun.wait()  # or the clock may say that the first has waited too long, too
    clock.now_s = 2.1
    go.set()

    assert first.result() is True
    with pytest.raises(Overloaded, match="try again in 2 s"):
        second.result()
    pool.close()


def test_failed_task_frees_its_place() -> None:
    pool = WorkerPool(threads=1, max_pending=1, max_wait_s=60)

    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result()

    pool.close()
    assert pool.pending == 0


def test_run_all_keeps_the_order_and_hands_over_a_thread_full_at_a_time() -> None:
    pool = WorkerPool(threads=2, max_pending=1, max_wait_s=60)
    started: list[int] = []

    def task(number: int) -> int:
        started.append(number)
        return number

    with pool.admitted():
        results = pool.run_all(partial(task, n) for n in range(7))
        assert next(results) == 0
        assert len(started) <= 3
        assert list(results) == [1, 2, 3, 4, 5, 6]
    pool.close()


def test_run_all_async_keeps_the_order_and_holds_no_thread_of_the_loop() -> None:
    pool = WorkerPool(threads=2, max_pending=1, max_wait_s=60)
    release = threading.Event()

    def task(number: int) -> int:
        release.wait(10)
        return number

    async def run() -> tuple[int, list[int]]:
        batches = [
            asyncio.create_task(pool.run_all_async(partial(task, n) for n in range(3)))
            for _ in range(40)
        ]
        # The loop's own threads, of which there are few, are still free for others.
        other = await asyncio.wait_for(asyncio.to_thread(lambda: 7), timeout=5)
        release.set()
        return other, [n for batch in batches for n in await batch]

    assert asyncio.run(run()) == (7, [0, 1, 2] * 40)
    pool.close()
