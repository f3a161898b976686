"""Where to look after a run: the places of results, and the commands that show results and dead letters. Pure.

Tested in tests/cli/test_pointers.py.
"""

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..connect.worker.deployment import Deployment
    from ..embedded import Pipelines

USER = re.compile(r"(?<=://)[^/@]*@")


def pointers(pipelines: "Pipelines", server: str) -> list[str]:
    """A line for each kind of thing that there is to look at, none for what has nothing in it."""
    lines: list[str] = []
    tasks = pipelines.worker.tasks if pipelines.worker else ()
    filled = {task.connector for task in tasks if task.kind == "sink" and task.rows}
    sinks = [one for one in pipelines.deployments if one.kind == "sink"]
    places = [place for one in sinks if one.name in filled and (place := _place(one))]
    if places:
        lines.append(f"results: {', '.join(places)}")
    read = {topic for one in sinks for topic in one.values["topics"] or ()}
    written = {topic for stream in pipelines.streams.values() for topic, count in stream.written.items() if count}
    lines += [f"results: {_consume(topic, server)}" for topic in sorted(written - read)]
    lines += [f"dead letters: {_consume(topic, server)} --json" for topic in sorted(_letters(pipelines))]
    return lines


def _place(sink: "Deployment") -> str:
    """Where a sink that writes files puts them, without who it writes as; "" for others."""
    url = sink.values.get("store.url")
    folder = sink.values.get("topics.dir")
    return f"{USER.sub('', url).rstrip('/')}/{folder} ({sink.name})" if url else ""


def _letters(pipelines: "Pipelines") -> set[str]:
    """The topics that got dead letters in this run."""
    streams, config = pipelines.streams, pipelines.streams_config
    found = {
        (config.dead_letter_topic if config else "") or plan.dead_letter_topic
        for plan in pipelines.plans
        if plan.name in streams and streams[plan.name].dead_letters
    }
    tasks = pipelines.worker.tasks if pipelines.worker else ()
    failing = {task.connector for task in tasks if task.dead_letters}
    topics = [
        one.values.get("errors.deadletterqueue.topic.name") for one in pipelines.deployments if one.name in failing
    ]
    return found | {topic for topic in topics if topic}


def _consume(topic: str, server: str) -> str:
    return f"millstream consume {topic} -b {shlex.quote(server)} --from-beginning --to-end --read-committed"
