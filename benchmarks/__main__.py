"""`make bench`: every comparison in one run on this machine, written to benchmarks/RESULTS.md.

`python -m benchmarks NAME...` runs some of them; an unknown name lists all.
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks.broker_load import large_log, many_partitions, small_requests, throughput
from benchmarks.brokers import produce_and_consume, starting
from benchmarks.lines import files_to_topic, topic_to_parquet
from benchmarks.measure import ROOT, Table, python, run
from benchmarks.streams import windowed

PACKAGES = ("millstream", "pyarrow", "polars", "numba", "numpy", "confluent-kafka", "aiokafka", "orjson", "cramjam")


def batches() -> Table:
    done = run("record batches", python("record_batches.py"), core=0)
    table = Table("Record batches to Arrow columns and back, one core", ("what", "million records/s of CPU time"))
    table.rows += [(name, rate) for name, rate in done.said.items() if name != "versions"]
    return table


PARTS: dict[str, Callable[[], Table | list[Table]]] = {
    "starting": starting,
    "throughput": throughput,
    "brokers": produce_and_consume,
    "requests": small_requests,
    "partitions": many_partitions,
    "large-log": large_log,
    "lines": files_to_topic,
    "parquet": topic_to_parquet,
    "batches": batches,
    "streams": windowed,
}


def machine() -> str:
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{model.partition(':')[2].strip()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; Apache Kafka and Kafka Streams 4.3.1; {packages}."
    )


def write(texts: list[str], minutes: float) -> None:
    head = [
        "# Measurements",
        "",
        f"Made by `make bench` on {time.strftime('%Y-%m-%d')} in {minutes:.0f} minutes, both sides of each comparison",
        "in one run. Read ratios, not absolutes: the machine is small and shared. Where the time goes: `PROFILES.md`.",
        "",
        machine(),
        "",
    ]
    (ROOT / "benchmarks" / "RESULTS.md").write_text("\n".join([*head, *texts]))


def main() -> None:
    """After each part everything so far is written, so that a run that is cut off leaves what it had."""
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(PARTS)}")
    texts: list[str] = []
    started = time.monotonic()
    for name in chosen:
        made = PARTS[name]()
        for table in made if isinstance(made, list) else [made]:
            texts.append(table.markdown())
            print(texts[-1], flush=True)
        if len(chosen) == len(PARTS):
            write(texts, (time.monotonic() - started) / 60)


if __name__ == "__main__":
    main()
