"""The text of a topology in Kafka Streams' own format, and a picture in Mermaid. Pure.

Source: InternalTopologyBuilder.describe and TopologyDescription of Kafka 4.3.1: nodes by how much hangs below them,
then by name; sub-topologies numbered by their first source. Tests: tests/streams/test_describe.py, against Kafka's own
output.
"""

from dataclasses import dataclass, field
from typing import Literal

from .plan import Aggregation, Filter, KeyBy, Plan, Select, Sink, Source, WithColumns

Kind = Literal["Source", "Processor", "Sink"]


@dataclass(slots=True)
class Described:
    """A node as Kafka Streams sees it. `detail` is what stands in brackets after its name."""

    name: str
    kind: Kind
    detail: str
    parents: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)


def described_nodes(plan: Plan) -> dict[str, Described]:
    """Nodes by name. A repartition becomes a filter, a sink and a source, which starts a new sub-topology."""
    nodes: dict[str, Described] = {}
    for node in plan.nodes:
        parent = [node.parent] if node.parent else []
        if isinstance(node, Source):
            nodes[node.name] = Described(node.name, "Source", f"(topics: [{node.topic}])")
        elif isinstance(node, Sink):
            nodes[node.name] = Described(node.name, "Sink", f"(topic: {node.topic})", parent)
        elif isinstance(node, Aggregation):
            if node.repartition is not None:
                parts, name = node.repartition, f"{node.repartition.name}-repartition"
                nodes[parts.filter] = Described(parts.filter, "Processor", "(stores: [])", parent)
                nodes[parts.sink] = Described(parts.sink, "Sink", f"(topic: {name})", [parts.filter])
                nodes[parts.source] = Described(parts.source, "Source", f"(topics: [{name}])")
                parent = [parts.source]
            nodes[node.name] = Described(node.name, "Processor", f"(stores: [{node.store}])", parent)
        else:
            nodes[node.name] = Described(node.name, "Processor", "(stores: [])", parent)
    for described in nodes.values():
        for name in described.parents:
            nodes[name].children.append(described.name)
    return nodes


def describe(plan: Plan) -> str:
    """As `Topology.describe()` of Kafka Streams prints it."""
    nodes = described_nodes(plan)
    sizes: dict[str, int] = {}
    roots = sorted(node.name for node in nodes.values() if node.kind == "Source")
    lines = ["Topologies:"]
    for number, root in enumerate(roots):
        _measure(nodes, root, sizes)
        lines.append(f"{'   ' if number == 0 else '  '}Sub-topology: {number}")
        for name in sorted(_below(nodes, root), key=lambda name: (-sizes[name], name)):
            lines += _lines(nodes[name], sizes)
        lines.append("")
    return "\n".join(lines) + "\n"


def _lines(node: Described, sizes: dict[str, int]) -> list[str]:
    children = sorted(node.children, key=lambda name: (-sizes[name], name))
    lines = [f"    {node.kind}: {node.name} {node.detail}"]
    if node.kind != "Sink":
        lines.append(f"      --> {', '.join(children) or 'none'}")
    if node.kind != "Source":
        lines.append(f"      <-- {', '.join(node.parents) or 'none'}")
    return lines


def _measure(nodes: dict[str, Described], name: str, sizes: dict[str, int]) -> int:
    sizes[name] = 1 + sum(_measure(nodes, child, sizes) for child in nodes[name].children)
    return sizes[name]


def _below(nodes: dict[str, Described], name: str) -> list[str]:
    return [name, *(below for child in nodes[name].children for below in _below(nodes, child))]


def mermaid(plan: Plan) -> str:
    """A flow chart that Markdown renderers draw: topics as cylinders, steps as boxes."""
    lines = ["flowchart TD"]
    identity = {node.name: f"n{index}" for index, node in enumerate(plan.nodes)}
    for node in plan.nodes:
        own = identity[node.name]
        if isinstance(node, Source):
            lines.append(f'    t_{own}[("{_safe(node.topic)}")] --> {own}["read {_safe(node.topic)}"]')
            continue
        if isinstance(node, Aggregation) and node.repartition is not None:
            topic = f"{node.repartition.name}-repartition"
            lines.append(
                f'    {identity[node.parent]} --> r_{own}[("{_safe(topic)}")] --> {own}["{_safe(_label(node))}"]'
            )
        elif isinstance(node, Sink):
            lines.append(f'    {identity[node.parent]} --> {own}[("{_safe(node.topic)}")]')
            continue
        else:
            lines.append(f'    {identity[node.parent]} --> {own}["{_safe(_label(node))}"]')
        if isinstance(node, Aggregation):
            lines.append(f'    {own} -.- s_{own}[("{_safe(plan.changelog_topic(node))}")]')
    return "\n".join(lines) + "\n"


def _label(node: object) -> str:
    match node:
        case Filter(predicates=predicates):
            return "filter " + " and ".join(str(predicate) for predicate in predicates)
        case WithColumns(expressions=expressions):
            return "with " + ", ".join(expression.meta.output_name(raise_if_undetermined=False) or "columns"
                                       for expression in expressions)  # fmt: skip
        case Select(schema=schema):
            return "select " + ", ".join(schema.names)
        case KeyBy(columns=columns):
            return "key by " + ", ".join(columns)
        case Aggregation(spec=spec):
            window = spec.window
            span = "" if window is None else f" every {window.advance_ms} ms over {window.size_ms} ms"
            return f"group by {', '.join(spec.group)}{span}: " + ", ".join(
                f"{name}={agg}" for name, agg in spec.aggregates
            )
    return "results"


def _safe(text: str) -> str:
    return text.replace('"', "'").replace("\n", " ")
