"""Blocking calls with a deadline: a store that hangs must not hang its caller. Shell.

A call that misses its deadline keeps its thread until the store answers; its late result is dropped. Callers therefore
make every write idempotent. When all threads hang, further calls are refused at once; so they are after close().
A process that ends waits a little for calls under way: a thread that comes back from a library's native code while
Python is being torn down ends there with SIGABRT, and the exit code with it.
Tested in tests/core/filesystems/test_deadline.py.
"""

import atexit
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, ParamSpec, TypeVar

from ..errors import Retriable

P = ParamSpec("P")
T = TypeVar("T")

HANGING_CALLS_MAX = 16
# A store that is down refuses a call after three seconds; one that hangs does not come back in the wrong moment.
AT_EXIT_S = 5.0

_under_way: set[threading.Thread] = set()


@atexit.register
def _let_calls_end() -> None:
    end = time.monotonic() + AT_EXIT_S
    for thread in list(_under_way):
        thread.join(max(0.0, end - time.monotonic()))


class Deadline:
    """Runs calls in daemon threads, so that one that never returns does not keep the process alive either."""

    def __init__(self, name: str, timeout_s: float) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._hanging = 0
        self._waiting: set[Future[Any]] = set()
        self._closed = False
        self._lock = threading.Lock()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result. Raises what it raises, or Retriable past the deadline and where it was closed."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise Retriable(f"{self._name} is closed")
            if self._hanging >= HANGING_CALLS_MAX:
                raise Retriable(f"{self._name}: {self._hanging} calls hang without an answer")
            self._waiting.add(future)
        thread = threading.Thread(target=self._run, args=(future, lambda: function(*args, **kwargs)), daemon=True)
        try:
            thread.start()
            return future.result(self._timeout_s)
        except FutureTimeoutError:
            if future.done():  # just now, or the function itself raised a TimeoutError
                return future.result()
            with self._lock:
                self._hanging += 1
            future.add_done_callback(self._returned)
            raise Retriable(f"{self._name} did not answer within {self._timeout_s:g} s") from None
        finally:
            with self._lock:
                self._waiting.discard(future)

    def close(self) -> None:
        """Who waits is told now: a worker that ends need not wait for a store that hangs."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
        for future in waiting:
            with contextlib.suppress(InvalidStateError):  # its answer has just come
                future.set_exception(Retriable(f"{self._name} is closed"))

    def _run(self, future: "Future[T]", function: Callable[[], T]) -> None:
        _under_way.add(threading.current_thread())
        try:
            result = function()
        except BaseException as error:  # handed to the waiting caller, pyo3's PanicException among them
            with contextlib.suppress(InvalidStateError):  # close() was faster
                future.set_exception(error)
        else:
            with contextlib.suppress(InvalidStateError):
                future.set_result(result)
        finally:
            _under_way.discard(threading.current_thread())

    def _returned(self, _: "Future[T]") -> None:
        with self._lock:
            self._hanging -= 1
