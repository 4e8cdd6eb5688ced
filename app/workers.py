"""A few threads that decode and predict, with a bounded queue before them."""

import asyncio
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from app.errors import Overloaded

T = TypeVar("T")
# Given how long it waited for a thread, in seconds.
Task: TypeAlias = Callable[[float], T]

_NEWEST: Final = 0.05  # how much the last task says about how long one takes
_MAX_RETRY_S: Final = 30.0
_NICENESS: Final = 5


def _step_back() -> None:
    """Let the event loop go before this thread, where threads have priorities of their own.

    A loop that waits for a core holds the interpreter lock, or the answer that is ready.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


@dataclass(slots=True)
class _Request:
    """When a request asked for a thread, and whether one of its tasks has begun."""

    asked_at: float
    has_begun: bool = False


class WorkerPool:
    """Runs tasks on ``threads`` threads and refuses more requests than ``max_pending``.

    Decoding and inference release the interpreter lock, so one thread a core keeps all cores busy
    but for the moments in which a thread waits for that lock; one thread more fills those (on two
    cores 4 % more requests), and yet more gain nothing.

    Args:
        threads: how many tasks run at once.
        max_pending: most requests waiting or running.
        max_wait_s: longest wait of a request for its first thread, in seconds.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        threads: int,
        max_pending: int,
        max_wait_s: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._executor = ThreadPoolExecutor(
            threads, thread_name_prefix="predict", initializer=_step_back
        )
        self._threads = threads
        self._max_pending = max_pending
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._lock = threading.Lock()
        self._pending = 0
        self._task_s = 0.01  # of late
        self._next_at = 0.0  # when the last of those that were refused may come back

    @property
    def pending(self) -> int:
        """How many requests wait or run."""
        return self._pending

    def require_room(self) -> None:
        """Refuse what would be refused anyway, before anything is done for it.

        Raises:
            Overloaded: too many requests are pending.
        """
        if self._pending >= self._max_pending:
            with self._lock:
                raise self._overloaded()

    def submit(self, task: Task[T]) -> Future[T]:
        """Start one task as one request, and return its future.

        Raises:
            Overloaded: too many requests are pending. The future raises it too, where the task
                waited too long for a thread.
        """
        self._acquire()
        try:
            future = self._start(task, _Request(self._clock()))
        except BaseException:
            self._release()
            raise
        future.add_done_callback(lambda _: self._release())
        return future

    def run_all(self, tasks: Iterable[Task[T]]) -> Iterator[T]:
        """Yield the tasks' results in order.

        Only as many tasks as there are threads are handed over at a time, so that a large batch
        lets others through. Call it within ``admitted``.

        Raises:
            Overloaded: the first waited too long for a thread, so that none was begun.
        """
        request = _Request(self._clock())
        window: deque[Future[T]] = deque()
        for task in tasks:
            if len(window) >= self._threads:
                yield window.popleft().result()
            window.append(self._start(task, request))
        while window:
            yield window.popleft().result()

    async def run_all_async(self, tasks: Iterable[Task[T]]) -> list[T]:
        """Return the tasks' results in order, as ``run_all`` does, without holding a thread."""
        request = _Request(self._clock())
        results: list[T] = []
        window: deque[Future[T]] = deque()
        for task in tasks:
            if len(window) >= self._threads:
                results.append(await asyncio.wrap_future(window.popleft()))
            window.append(self._start(task, request))
        while window:
            results.append(await asyncio.wrap_future(window.popleft()))
        return results

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count as one pending request within the block.

        Raises:
            Overloaded: too many requests are pending.
        """
        self._acquire()
        try:
            yield
        finally:
            self._release()

    def close(self) -> None:
        """Finish what runs, drop what waits, and end the threads."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _start(self, task: Task[T], request: _Request) -> Future[T]:
        """Hand a task over; once one of a request has begun, none is too late."""
        handed_over_at = self._clock()

        def run() -> T:
            begun_at = self._clock()
            if not request.has_begun and begun_at - request.asked_at > self._max_wait_s:
                raise Overloaded(self._max_wait_s)
            request.has_begun = True
            try:
                return task(begun_at - handed_over_at)
            finally:
                self._task_s += _NEWEST * (self._clock() - begun_at - self._task_s)

        return self._executor.submit(run)

    def _acquire(self) -> None:
        with self._lock:
            if self._pending >= self._max_pending:
                raise self._overloaded()
            self._pending += 1

    def _overloaded(self) -> Overloaded:
        """Return when to come back, each a little later than the one before.

        Whoever obeys then arrives as fast as others are answered, instead of all at once.
        """
        now, each_s = self._clock(), self._task_s / self._threads
        after = max(self._next_at, now + self._pending * each_s) + each_s
        self._next_at = min(after, now + _MAX_RETRY_S)
        return Overloaded(self._next_at - now)

    def _release(self) -> None:
        with self._lock:
            self._pending -= 1
