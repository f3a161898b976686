"""Runs the tests here that are coroutines, each on an event loop of its own, as the command does."""

import asyncio
import inspect

import pytest

from millstream.embedded import event_loop_factory

TEST_TIMEOUT_S = 280


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters

    async def run() -> None:
        async with asyncio.timeout(TEST_TIMEOUT_S):
            await pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})

    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(run())
    return True
