"""Whether the broker can do its work: what /health and /ready say. Shell.

Tested in tests/core/broker/test_monitoring.py.
"""

import asyncio
import json
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .http_pages import Page
from .process_figures import LoopWatch

if TYPE_CHECKING:
    from ..broker import Broker

MAX_LAG_S = 5.0
SHOWN_LOGS = 20
PROBE = ".write-probe.tmp"
PROBE_BYTES = bytes(4096)
JSON = "application/json"


async def health_page(broker: "Broker", watch: LoopWatch) -> Page:
    """200 while logs can be written and the loop keeps up, else 503; either way with what was looked at."""
    path, refusal = await asyncio.to_thread(_write_refusal, broker.logs.path)
    offline = [log for log in broker.logs.logs() if log.failure is not None]
    checks: dict[str, Any] = {
        "data_directory": {
            "ok": refusal is None,
            "path": path,
            "free_bytes": _free_bytes(path),
            "error": refusal and f"{refusal}; make room or give the rights back, and writes go on by themselves",
        },
        "logs": {
            "ok": not offline,
            "offline_count": len(offline),
            "offline": [
                {"topic": log.topic, "partition": log.partition, "error": str(log.failure)}
                for log in offline[:SHOWN_LOGS]
            ],
        },
        "event_loop": {"ok": watch.worst_s < MAX_LAG_S, "lag_ms": _ms(watch.lag_s), "worst_ms": _ms(watch.worst_s)},
    }
    healthy = all(check["ok"] for check in checks.values())
    body = {
        "status": "healthy" if healthy else "unhealthy",
        "node_id": broker.cluster.node_id,
        "cluster_id": broker.cluster.cluster_id,
        "checks": checks,
    }
    return Page(200 if healthy else 503, json.dumps(body, indent=2).encode() + b"\n", JSON)


def ready_page(*, ready: bool) -> Page:
    """200 while clients are served."""
    body = json.dumps({"status": "ready" if ready else "not ready"}).encode() + b"\n"
    return Page(200 if ready else 503, body, JSON)


def _write_refusal(directory: str) -> tuple[str, str | None]:
    """The whole path, and why nothing can be written there; found out by writing a page of zeros."""
    path = os.path.abspath(directory)
    probe = os.path.join(path, PROBE)
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, PROBE_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        return path, str(error)
    finally:
        with suppress(OSError):
            os.unlink(probe)
    return path, None


def _free_bytes(path: str) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
