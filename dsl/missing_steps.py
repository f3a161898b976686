"""What to write where a step or an aggregate is not there: the error of a name that one might look for. Pure.

Tests: tests/dsl/test_mistakes.py.
"""

from collections.abc import Iterable

from ..core.errors import PlanError
from ..streams.naming import choices

AGGREGATE_FIRST = "it comes after aggregate(), as in aggregate(requests=agg.count())"
GROUP_FIRST = "it comes after group_by(), as in group_by('host')"
# By what has the step that is looked for not.
REMEDIES = {
    "Stream": {
        "window": f"{GROUP_FIRST}.window(ms.tumbling('1m'))",
        "aggregate": f"{GROUP_FIRST}.aggregate(requests=agg.count())",
        "emit": AGGREGATE_FIRST,
        "map": "write with_columns(kb=col('bytes') / 1024) or select(...)",
        "map_values": "write with_columns(kb=col('bytes') / 1024) or select(...)",
        "flat_map": "a row gives one row, or none with filter(); col('tags').list reaches into lists",
        "explode": "a row gives one row, or none with filter(); col('tags').list reaches into lists",
        "rename": "name all columns that are wanted: select('path', client=col('host'))",
        "drop": "name the columns that are kept: select('host', 'path')",
        "branch": "use the stream twice: stream.filter(...).to('a') and stream.filter(...).to('b')",
        "split": "use the stream twice: stream.filter(...).to('a') and stream.filter(...).to('b')",
        "peek": "write the rows to a topic, or try the topology in millstream.streams.testing",
        "foreach": "write the rows to a topic with to(), and give that to a sink connector",
        "count": f"{GROUP_FIRST}.aggregate(count=agg.count())",
        "through": "write with to(topic) and read that topic with stream(topic) of another topology",
        "repartition": "group_by() moves rows where it has to; key_by('host').to(topic, partitions=8) writes them anew",
        "join": "streams cannot be joined yet",
        "merge": "streams cannot be merged yet",
    },
    "GroupedStream": {
        "to": AGGREGATE_FIRST,
        "emit": AGGREGATE_FIRST,
        "filter": f"filter before group_by(), or the results: {AGGREGATE_FIRST}",
        "select": AGGREGATE_FIRST,
        "count": "write aggregate(count=agg.count())",
        "sum": "write aggregate(bytes=agg.sum('bytes'))",
        "agg": "write aggregate(requests=agg.count())",
    },
    "Aggregated": {
        "aggregate": "name all aggregates in one: aggregate(requests=agg.count(), bytes=agg.sum('bytes'))",
        "window": "the window comes before aggregate(): group_by('host').window(ms.tumbling('1m')).aggregate(...)",
    },
    "agg": {
        "median": "write agg.quantile('column', 0.5)",
        "avg": "write agg.mean('column')",
        "average": "write agg.mean('column')",
        "len": "write agg.count()",
        "n_unique": "write agg.distinct('column')",
        "count_distinct": "write agg.distinct('column')",
    },
}


class MissingStep(PlanError, AttributeError):
    """An attribute that is not there, so that hasattr() and copy go on as they should."""


def missing_step(of: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for `name`; names with underscores are Python's business and get Python's words."""
    if name.startswith("_"):
        return AttributeError(f"{of} has no attribute {name!r}")
    remedy = REMEDIES[of].get(name) or choices(name, [one for one in known if not one.startswith("_")])
    return MissingStep(f"{of} has no {name}: {remedy}")
