"""Access-log lines to requests, errors, bytes and the size that 99 % of answers stay below, per minute and status."""

import millstream as ms
from millstream import agg, col

topology = ms.Topology("log-aggregation")

requests = topology.stream("access-logs", value=ms.combined_log(), time="time")

per_minute = (
    requests.with_columns(error=(col("status") >= 400).cast(int))
    .group_by("status")
    .window(ms.tumbling("1m", grace="10s"))
    .aggregate(
        requests=agg.count(),
        errors=agg.sum("error"),
        bytes=agg.sum("bytes"),
        p99_bytes=agg.quantile("bytes", 0.99),
    )
)

per_minute.emit("on_close").to("traffic-per-minute", value=ms.json())

if __name__ == "__main__":
    topology.run(bootstrap_servers="embedded:./data", to_end=True)
