"""Runs one topology from a user's own script, `python pipeline.py`; Ctrl-C ends it after a last commit. Shell.

The broker inside the process, and the client, come from embedded.py, loaded when it is needed: nothing else here knows
both. Tests: tests/dsl/test_running.py.
"""

import asyncio
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..core.errors import PlanError
from ..core.stopping import stopped_by_signals
from ..streams.config import streams_config
from ..streams.plan import Plan
from ..streams.progress import StreamProgress
from ..streams.runtime import run


def run_topology(plan: Plan, *, bootstrap_servers: str, to_end: bool, config: Mapping[str, Any]) -> StreamProgress:
    """Runs until interrupted or to the end; returns what was done.

    Signals come to the main thread only: elsewhere it runs to the end, or for as long as the process.
    Raises PlanError where an event loop runs already, ConfigError for wrong settings, and what run() raises.
    """
    embedded = import_module(f"{__package__.rpartition('.')[0]}.embedded")
    settings = streams_config(config)
    if _is_in_event_loop():
        raise PlanError(
            f"{plan.application_id}: run() needs an event loop of its own and one runs here already, as in a notebook; "
            f"write await asyncio.to_thread(topology.run, bootstrap_servers=...)"
        )

    async def main() -> StreamProgress:
        with stopped_by_signals() as stop:
            async with embedded.open_client(bootstrap_servers) as client:
                return await run(plan, client, to_end=to_end, config=settings, stop=stop)

    with asyncio.Runner(loop_factory=embedded.event_loop_factory()) as runner:
        return runner.run(main())


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
