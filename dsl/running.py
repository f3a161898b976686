"""Runs one topology from a user's own script, `python pipeline.py`; Ctrl-C ends it after a last commit. Shell.

The broker inside the process, and the client, come from embedded.py, loaded when it is needed: nothing else here knows
both. Tests: tests/dsl/test_running.py.
"""

import asyncio
import signal
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..streams.config import streams_config
from ..streams.plan import Plan
from ..streams.progress import StreamProgress
from ..streams.runtime import run


def run_topology(plan: Plan, *, bootstrap_servers: str, to_end: bool, config: Mapping[str, Any]) -> StreamProgress:
    """Runs until interrupted or to the end; returns what was done."""
    embedded = import_module(f"{__package__.rpartition('.')[0]}.embedded")
    settings = streams_config(config)

    async def main() -> StreamProgress:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with embedded.open_client(bootstrap_servers) as client:
            return await run(plan, client, to_end=to_end, config=settings, stop=stop)

    with asyncio.Runner(loop_factory=embedded.event_loop_factory()) as runner:
        return runner.run(main())
