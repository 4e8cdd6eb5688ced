"""The bounded pool: what it refuses, and that large batches let others through."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from app.errors import Overloaded
from app.workers import Task, WorkerPool
from tests.conftest import wait_until


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_request_beyond_max_pending_is_overloaded_and_later_ones_are_not() -> None:
    pool = WorkerPool(threads=1, max_pending=2, max_wait_s=60)
    go = threading.Event()
    first, second = pool.submit(lambda _: go.wait()), pool.submit(lambda _: "second")

    with pytest.raises(Overloaded) as caught:
        pool.submit(lambda _: "third")

    assert caught.value.retry_after_s == 1
    go.set()
    assert (first.result(), second.result()) == (True, "second")
    pool.close()
    assert pool.pending == 0


def test_those_who_are_refused_come_back_one_after_the_other() -> None:
    clock = FakeClock()
    pool = WorkerPool(threads=2, max_pending=3, max_wait_s=60, clock=clock)

    def task(waited_s: float) -> None:
        clock.now_s += 0.5

    for _ in range(200):  # a task takes half a second, so four a second are answered
        pool.submit(task).result()
    wait_until(lambda: pool.pending == 0)  # a place is freed after the result is there
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

    def task(waited_s: float) -> bool:
        begun.set()
        return go.wait()

    first, second = pool.submit(task), pool.submit(lambda _: "too late")

    begun.wait()  # or the clock may say that the first has waited too long, too
    clock.now_s = 2.1
    go.set()

    assert first.result() is True
    with pytest.raises(Overloaded, match="try again in 2 s"):
        second.result()
    pool.close()


def all_at_once(pool: WorkerPool, tasks: Iterator[Task[float]]) -> list[float]:
    return list(pool.run_all(tasks))


def all_async(pool: WorkerPool, tasks: Iterator[Task[float]]) -> list[float]:
    return asyncio.run(pool.run_all_async(tasks))


EITHER_WAY = pytest.mark.parametrize("run", [all_at_once, all_async])
RunAll = Callable[[WorkerPool, Iterator[Task[float]]], list[float]]


@EITHER_WAY
def test_a_list_whose_first_task_waited_too_long_is_overloaded_and_nothing_is_done_for_it(
    run: RunAll,
) -> None:
    clock = FakeClock()
    pool = WorkerPool(threads=1, max_pending=9, max_wait_s=2.0, clock=clock)
    handed_over, go = threading.Event(), threading.Event()
    done: list[float] = []

    def task(waited_s: float) -> float:
        done.append(waited_s)
        return waited_s

    def tasks() -> Iterator[Task[float]]:
        yield task
        handed_over.set()  # the first was, for the second is asked for
        yield task

    pool.submit(lambda _: go.wait())
    with ThreadPoolExecutor(1) as caller:
        answers = caller.submit(run, pool, tasks())
        assert handed_over.wait(10)
        clock.now_s = 2.1
        go.set()

        with pytest.raises(Overloaded, match="try again in 2 s"):
            answers.result(10)
    pool.close()
    assert done == []


@EITHER_WAY
def test_a_list_that_has_begun_is_finished_however_long_its_later_tasks_wait(run: RunAll) -> None:
    clock = FakeClock()
    pool = WorkerPool(threads=1, max_pending=9, max_wait_s=2.0, clock=clock)
    both_handed_over = threading.Event()

    def others(waited_s: float) -> None:
        both_handed_over.wait(10)
        clock.now_s += 5

    def first(waited_s: float) -> float:
        pool.submit(others)
        return waited_s

    def tasks() -> Iterator[Task[float]]:
        yield first
        yield lambda waited_s: waited_s
        both_handed_over.set()

    assert run(pool, tasks()) == [0, 5]
    pool.close()


def test_failed_task_frees_its_place() -> None:
    pool = WorkerPool(threads=1, max_pending=1, max_wait_s=60)

    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda _: 1 / 0).result()

    pool.close()
    assert pool.pending == 0


def test_run_all_keeps_the_order_and_hands_over_a_thread_full_at_a_time() -> None:
    pool = WorkerPool(threads=2, max_pending=1, max_wait_s=60)
    started: list[int] = []

    def task(number: int, waited_s: float) -> int:
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

    def task(number: int, waited_s: float) -> int:
        release.wait(120)
        return number

    async def run() -> tuple[int, list[int]]:
        batches = [
            asyncio.create_task(pool.run_all_async(partial(task, n) for n in range(3)))
            for _ in range(40)
        ]
        # The loop's own threads, of which there are few, are still free for others.
        other = await asyncio.wait_for(asyncio.to_thread(lambda: 7), timeout=60)
        release.set()
        return other, [n for batch in batches for n in await batch]

    assert asyncio.run(run()) == (7, [0, 1, 2] * 40)
    pool.close()
