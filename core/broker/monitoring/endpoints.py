"""/metrics, /health and /ready of one broker process. Shell; imported only where metrics.listen is set.

Tested in tests/core/broker/test_monitoring.py.
"""

import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ...tasks import TaskScope
from ..network.server import Server
from .durations import Durations
from .exposition import CONTENT_TYPE
from .health import health_page, ready_page
from .http_pages import HttpPages, Page
from .metrics import Metrics
from .metrics_page import metrics_page
from .process_figures import LoopWatch

if TYPE_CHECKING:
    from ..broker import Broker

LOG = logging.getLogger(__name__)


@asynccontextmanager
async def monitoring(
    broker: "Broker", metrics: Metrics, flushes: Durations, servers: Sequence[Server], sockets: Sequence[socket.socket]
) -> AsyncIterator[None]:
    """Serves the pages on `sockets` from entering to leaving."""
    watch = LoopWatch()

    async def metrics_now() -> Page:
        return Page(200, await metrics_page(broker, metrics, flushes, servers, watch), CONTENT_TYPE)

    async def health_now() -> Page:
        return await health_page(broker, watch)

    async def ready_now() -> Page:
        return ready_page(ready=bool(servers) and all(server.is_serving for server in servers))

    pages = {"/metrics": metrics_now, "/health": health_now, "/ready": ready_now}
    async with TaskScope() as tasks, HttpPages(sockets, pages):
        tasks.start(watch.run(), name="loop-watch")
        LOG.info("/metrics, /health and /ready on %s", sockets[0].getsockname()[:2])
        yield
