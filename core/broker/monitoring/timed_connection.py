"""A connection that tells Metrics of its requests: when each came, ran, waited, was answered and was sent. Shell.

Only where somebody looks: without metrics the server makes plain connections, which count nothing.
Tested in tests/core/broker/test_request_times.py.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from ..context import RequestContext
from ..failures import answered
from ..handlers import Handler
from ..network.connection import Connection, Slot
from ..network.host import Host
from .metrics import Metrics, Observed


class TimedConnection(Connection):
    """Requests are started in the order in which their frames came."""

    def __init__(self, server: Host, metrics: Metrics) -> None:
        super().__init__(server)
        self._metrics = metrics
        self._now_s = metrics.now_s
        self._arrivals: deque[float] = deque()
        self._arrived_s = 0.0
        self._current: Observed | None = None
        self._unsent: list[Observed] = []

    def _received(self, frames: list[memoryview | bytes]) -> None:
        if frames:
            self._arrivals.extend([self._now_s()] * len(frames))
        super()._received(frames)

    def _start(self, frame: memoryview | bytes) -> None:
        self._arrived_s = self._arrivals.popleft()
        self._current = None
        super()._start(frame)

    def _outcome(self, served: Handler, message: Any, context: RequestContext) -> Any:
        observed = self._current = self._metrics.begin(context, message, self._arrived_s)
        if served.handle is not None:
            work = Steps(served.handle(self._server.broker, message, context), observed, self._now_s)
            return self._server.run(answered(work, context))
        outcome = super()._outcome(served, message, context)
        observed.local_s = self._now_s() - observed.started_s
        return outcome

    def _slot(self, api_key: int, request_bytes: int) -> Slot:
        slot = super()._slot(api_key, request_bytes)
        slot.observed = self._current
        return slot

    def _answer(self, slot: Slot, outcome: Any, context: RequestContext, correlation_id: int) -> None:
        if slot.observed is not None:
            self._metrics.end(slot.observed, outcome)
        super()._answer(slot, outcome, context, correlation_id)

    def _release(self, slot: Slot) -> None:
        super()._release(slot)
        if slot.observed is not None:
            self._handed_out(slot.observed, is_answered=bool(slot.parts))

    def _answer_at_once(self, request_bytes: int, outcome: Any, context: RequestContext, correlation_id: int) -> None:
        observed = self._current
        assert observed is not None
        self._metrics.end(observed, outcome)
        super()._answer_at_once(request_bytes, outcome, context, correlation_id)
        self._handed_out(observed, is_answered=outcome is not None)

    def _handed_out(self, observed: Observed, *, is_answered: bool) -> None:
        if is_answered:
            self._unsent.append(observed)
        else:
            self._metrics.sent(observed, observed.handled_s, observed.handled_s)

    def _write(self) -> None:
        begun_s = self._now_s()
        super()._write()
        sent_s = self._now_s()
        for observed in self._unsent:
            self._metrics.sent(observed, begun_s, sent_s)
        self._unsent.clear()

    def _drop_frames(self) -> None:
        super()._drop_frames()
        self._arrivals.clear()


class Steps:
    """Awaits a handler; the time of its own steps goes to `observed`, what lies between them is waiting."""

    def __init__(self, work: Awaitable[Any], observed: Observed, now_s: Callable[[], float]) -> None:
        self._work = work
        self._observed = observed
        self._now_s = now_s

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._work.__await__()
        resume: Callable[[], Any] = steps.__next__
        while True:
            begun_s = self._now_s()
            try:
                awaited = resume()
            except StopIteration as end:
                return end.value
            finally:
                self._observed.local_s += self._now_s() - begun_s
            try:
                yield awaited
                resume = steps.__next__
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # Thrown in where it waits, as a cancellation is.
                resume = _thrower(steps, error)


def _thrower(steps: Any, error: BaseException) -> Callable[[], Any]:
    return lambda: steps.throw(error)
