"""Quix Streams on workload W2: count and sum by host and level in one-minute windows, final results."""

import json
import sys
import time
import uuid
from datetime import timedelta

from quixstreams import Application
from quixstreams.dataframe.windows import Count, Sum


def main(server: str, source: str, sink: str, count: int) -> None:
    app = Application(
        broker_address=server,
        consumer_group=uuid.uuid4().hex,
        auto_offset_reset="earliest",
        loglevel="ERROR",
        state_dir=sys.argv[5],
        commit_interval=1.0,
        processing_guarantee="exactly-once",
    )
    seen, first, last = 0, 0.0, 0.0

    def clock(value: dict) -> dict:  # type: ignore[type-arg]
        nonlocal seen, first, last
        seen += 1
        if seen == 1:
            first = time.monotonic()
        if seen == count:
            last = time.monotonic()
        return value

    rows = app.dataframe(app.topic(source, value_deserializer="json", key_deserializer="str"))
    rows = rows.apply(clock)
    rows = rows.tumbling_window(timedelta(minutes=1), grace_ms=5_000).agg(count=Count(), sum=Sum("latency_ms")).final()
    rows.to_topic(app.topic(sink, value_serializer="json"))
    app.run(count=count, timeout=30)
    print(json.dumps({"events": seen, "seconds": last - first}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
