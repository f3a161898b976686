"""`millstream warm`: compiles every kernel into numba's cache, which a first run would otherwise do while it works."""

import logging
import os
from pathlib import Path

from .console import say

KERNEL_FOLDERS = ("core/kernels", "streams/ops")
LINE = '::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"'


def is_cold() -> bool:
    """Whether kernels are still to be compiled, as far as the folders beside them tell."""
    package = Path(__file__).resolve().parent.parent
    if elsewhere := os.environ.get("NUMBA_CACHE_DIR"):  # There numba makes a folder for each, of its name and a hash.
        names = [Path(folder).name for folder in KERNEL_FOLDERS]
        return not all(any(Path(elsewhere).glob(f"{name}_*/*.nbi")) for name in names)
    caches = [package / folder / "__pycache__" for folder in KERNEL_FOLDERS]
    writable = all(os.access(cache if cache.exists() else cache.parent, os.W_OK) for cache in caches)
    return writable and not all(any(cache.glob("*.nbi")) for cache in caches)


def tell_if_cold() -> None:
    """A first run is slower than all others: say why."""
    if is_cold():
        say("first run: compiling kernels, once per installation, about a minute (millstream warm does it ahead)")
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
