"""Values to typed columns and back, beside polars, DuckDB and msgspec on one thread.

A script: python -m benchmarks.formats
JSON: the six fields of workload W1, about 146 bytes. Log lines: those of MILLSTREAM_ACCESS_LOG, else made ones.
"""

import os
from functools import partial
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import duckdb
import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.rates import Rates
from millstream.core.formats.json import JsonFormat
from millstream.core.formats.logs import combined_log
from millstream.core.formats.regex import RegexFormat

ROWS = 100_000
START_MS = 1_700_000_000_000
SCHEMA = pa.schema(
    [
        ("ts", pa.int64()),
        ("host", pa.string()),
        ("level", pa.string()),
        ("service", pa.string()),
        ("latency_ms", pa.float64()),
        ("msg", pa.string()),
    ]
)
LOG_LINE = (
    '83.149.9.{0} - - [17/May/2015:10:{1:02}:03 +0000] "GET /presentations/{2}/images/kibana-search.png HTTP/1.1" 200 '
    '{2} "http://semicomplete.com/presentations/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36"'
)
LOG_PATTERN = (
    r'^(?P<host>\S+) (?P<identity>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" (?P<status>\d{3}) '
    r'(?P<bytes>\d+|-) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"$'
)


def events() -> pa.Array:
    rng = np.random.default_rng(1)
    times = START_MS + np.arange(ROWS) - rng.integers(0, 2_001, ROWS)
    levels = np.array(["INFO", "WARN", "DEBUG", "ERROR"])[rng.choice(4, ROWS, p=[0.70, 0.15, 0.10, 0.05])]
    services = np.array(["shipping", "billing", "orders", "search", "login", "cart"])[rng.integers(0, 6, ROWS)]
    latency = np.round(rng.lognormal(3.5, 0.9, ROWS), 1)
    hosts = rng.integers(0, 200, ROWS)
    values = [
        f'{{"ts":{t},"host":"web-{h:03}","level":"{lv}","service":"{s}","latency_ms":{x},'
        f'"msg":"request {n:08} handled by worker {n % 64:02} status 200"}}'
        for n, (t, h, lv, s, x) in enumerate(zip(times, hosts, levels, services, latency, strict=True))
    ]
    return pa.array(values, pa.binary())


def log_lines() -> pa.Array:
    named = os.environ.get("MILLSTREAM_ACCESS_LOG")
    if named:
        lines = Path(named).read_bytes().splitlines()
        return pa.array((lines * (ROWS // len(lines) + 1))[:ROWS], pa.binary())
    return pa.array([LOG_LINE.format(n % 250, n % 60, n).encode() for n in range(ROWS)], pa.binary())


class Event(msgspec.Struct):
    ts: int
    host: str
    level: str
    service: str
    latency_ms: float
    msg: str


def by_msgspec(rows: list[bytes], decoder: "msgspec.json.Decoder[Event]") -> pa.RecordBatch:
    events = [decoder.decode(row) for row in rows]
    arrays = [pa.array([getattr(event, name) for event in events]) for name in SCHEMA.names]
    return pa.RecordBatch.from_arrays(arrays, SCHEMA.names)


def by_polars(values: pa.Array, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return pl.read_ndjson(b"\n".join(values.to_pylist()), schema=schema)


def by_duckdb(connection: "duckdb.DuckDBPyConnection", texts: pa.Table) -> pa.Table:
    shape = (
        '{"ts":"BIGINT","host":"VARCHAR","level":"VARCHAR","service":"VARCHAR","latency_ms":"DOUBLE","msg":"VARCHAR"}'
    )
    connection.register("texts", texts)
    return connection.execute(f"select unnest(json_transform(line, '{shape}')) from texts").to_arrow_table()


def results() -> pa.RecordBatch:
    """Rows such as a windowed aggregation gives."""
    rng = np.random.default_rng(2)
    start = pa.array(np.full(ROWS, START_MS), pa.timestamp("ms", tz="UTC"))
    arrays = [
        pa.array([f"web-{host:03}" for host in rng.integers(0, 200, ROWS)]),
        pa.array(np.array(["INFO", "WARN"])[rng.integers(0, 2, ROWS)].tolist()),
        start,
        start,
        pa.array(rng.integers(0, 10_000, ROWS)),
        pa.array(rng.random(ROWS) * 1e5),
    ]
    return pa.RecordBatch.from_arrays(arrays, ["host", "level", "window_start", "window_end", "count", "sum"])


def measure_json(rates: Rates) -> None:
    values = events()
    print(f"-- JSON, {values.nbytes / ROWS:.0f} bytes a row, six columns")
    rows = values.to_pylist()
    polars_schema = {name: pl.Series(values=pa.array([], SCHEMA.field(name).type)).dtype for name in SCHEMA.names}
    format = JsonFormat(SCHEMA)
    four = JsonFormat(pa.schema([SCHEMA.field(name) for name in ("ts", "host", "level", "latency_ms")]))
    connection = duckdb.connect(config={"threads": 1})
    texts = pa.table({"line": values.cast(pa.string())})
    rates.measure("JSON to six columns", ROWS, partial(format.decode, values))
    rates.measure("JSON to four of its columns", ROWS, partial(four.decode, values))
    rates.measure("polars read_ndjson, rows joined first", ROWS, partial(by_polars, values, polars_schema))
    rates.measure("duckdb json_transform", ROWS, partial(by_duckdb, connection, texts))
    rates.measure("msgspec Struct to Arrow", ROWS, partial(by_msgspec, rows, msgspec.json.Decoder(Event)))
    broken = pa.array([row if n % 100 else row[:-1] for n, row in enumerate(rows)], pa.binary())
    rates.measure("JSON to six columns, 1 % malformed", ROWS, partial(format.decode, broken))
    escaped = pa.array([row if n % 10 else row.replace(b"handled", b'\\"handled\\"') for n, row in enumerate(rows)])
    rates.measure("JSON to six columns, 10 % with escapes", ROWS, partial(format.decode, escaped))
    rates.measure("columns to JSON, result rows", ROWS, partial(format.encode, results()))
    few = results().slice(0, 400)
    rates.measure("columns to JSON, result rows, 400 a call", 400, partial(format.encode, few))
    result_rows = results().to_pylist()
    encoder = msgspec.json.Encoder()
    rates.measure("msgspec dicts to JSON, row by row", ROWS, lambda: [encoder.encode(row) for row in result_rows])


def measure_logs(rates: Rates) -> None:
    lines = log_lines()
    print(f"-- combined log, {lines.nbytes / ROWS:.0f} bytes a line, eleven columns")
    texts = pl.Series("line", lines.cast(pa.string()))
    schema = pa.schema([("status", pa.int16()), ("bytes", pa.int64()), ("time", pa.timestamp("ms", tz="UTC"))])
    pattern = RegexFormat(LOG_PATTERN, schema, time_formats={"time": "%d/%b/%Y:%H:%M:%S %z"}, null_text="-")
    rates.measure("combined_log() to columns", ROWS, partial(combined_log().decode, lines))
    rates.measure("RegexFormat to typed columns", ROWS, partial(pattern.decode, lines))
    rates.measure("polars extract_groups, all text", ROWS, lambda: texts.str.extract_groups(LOG_PATTERN))


def main() -> None:
    rates = Rates("rows", ("numba", "pyarrow", "polars", "duckdb", "msgspec"))
    measure_json(rates)
    measure_logs(rates)
    rates.close()


if __name__ == "__main__":
    main()
