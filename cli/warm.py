"""`millstream warm`: compiles every kernel into numba's cache, which a first run would otherwise do while it works."""

import logging
import os
from pathlib import Path

from .console import say

RECORDS = "core/kernels/batch_decode"  # compiled in every run
ROWS_OF_WINDOWS = "streams/ops/slots"  # with the first rows that an aggregate gets
ONCE = "once per installation, about a minute (millstream warm does it ahead)"
LINE = '::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"'


def is_cold(module: str) -> bool:
    """Whether the kernels of a module are still to be compiled, as far as the folder beside it tells."""
    source = Path(__file__).resolve().parent.parent / module
    if elsewhere := os.environ.get("NUMBA_CACHE_DIR"):  # There numba makes a folder for each, of its name and a hash.
        return not any(Path(elsewhere).glob(f"{source.parent.name}_*/{source.name}.*.nbi"))
    cache = source.parent / "__pycache__"
    return os.access(cache if cache.exists() else cache.parent, os.W_OK) and not any(cache.glob(f"{source.name}.*.nbi"))


def tell_if_cold(*, aggregates: bool) -> None:
    """A first run is slower than all others, and the first that has rows to aggregate again: say why."""
    first = "run" if is_cold(RECORDS) else "rows to aggregate" if aggregates and is_cold(ROWS_OF_WINDOWS) else ""
    if first:
        say(f"first {first}: compiling kernels, {ONCE}")
        logging.getLogger("millstream.core.records.warm").setLevel(logging.ERROR)  # It would say it again.


def warm() -> None:
    """Run every kernel once on a row or two."""
    from ..core.formats.warm import compile_kernels

    compile_kernels()
    _warm_windows()


def _warm_windows() -> None:
    from .. import agg, col, combined_log, hopping, json, tumbling
    from ..dsl.topology import Topology
    from ..streams.testing import TopologyDriver

    topology = Topology("warm")
    rows = topology.stream("lines", value=combined_log(), time="time").with_columns(
        error=(col("status") > 399).cast(int)
    )
    aggregates = {
        "count": agg.count(),
        "sum": agg.sum("bytes"),
        "errors": agg.sum("error"),
        "least": agg.min("bytes"),
        "most": agg.max("bytes"),
        "mean": agg.mean("bytes"),
        "first": agg.first("path"),
        "last": agg.last("path"),
        "distinct": agg.distinct("host"),
        "p99": agg.quantile("bytes", 0.99),
    }
    for name, window in (("a", tumbling("1m", grace="1s")), ("b", hopping("1m", advance="10s", grace="1s"))):
        counted = rows.group_by("host", "status").window(window).aggregate(**aggregates)
        counted.emit("on_close" if name == "a" else "on_update").to(name, value=json())
    driver = TopologyDriver(topology.plan, bounded=True)
    driver.pipe("lines", [LINE, LINE])
    driver.finish()
