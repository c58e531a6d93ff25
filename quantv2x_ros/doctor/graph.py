# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Judges a running graph by what was seen of it. No ROS: `graph_probe` does the looking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from quantv2x_ros.doctor.findings import ERROR, OK, WARNING, Finding

INDICES, CODEBOOK = "/v2x/bev_indices", "/v2x/codebook"


@dataclass(frozen=True)
class Connection:
    """A publisher and a subscriber of a topic.

    Attributes:
        topic: name of the topic.
        publisher: full name of the publishing node.
        subscriber: full name of the subscribing node.
        problem: why no message passes, in the middleware's words; empty where all is well.
        published: type that is published; empty where that is not known.
        expected: type that is subscribed to.
    """

    topic: str
    publisher: str
    subscriber: str
    problem: str = ""
    published: str = ""
    expected: str = ""

    @property
    def has_other_type(self) -> bool:
        """Whether no message passes because the two mean different messages."""
        return self.published != self.expected

    @property
    def passes(self) -> bool:
        """Whether messages pass."""
        return not self.problem and not self.has_other_type


@dataclass(frozen=True)
class StationHeard:
    """What was heard of a station.

    Attributes:
        sweeps: while listening.
        rate: sweeps a second.
        mean_bytes: mean size of a sweep's payload.
    """

    sweeps: int
    rate: float
    mean_bytes: float


@dataclass
class Observation:
    """What was seen while listening.

    Attributes:
        domain: the DDS domain.
        seconds: how long it took.
        nodes: full names.
        types: message types in use, by topic.
        publishers: full node names by topic.
        subscribers: full node names by topic.
        connections: pairs that were compared.
        stations: heard on the air, by id.
        codebooks: announced: station to model and format of its packets.
        shared: ids that more than one station seems to have: id to why.
        troubles: latest diagnostics that are not OK: node to level (1, 2, 3) and message.
    """

    domain: int
    seconds: float
    nodes: list[str] = field(default_factory=list)
    types: dict[str, list[str]] = field(default_factory=dict)
    publishers: dict[str, list[str]] = field(default_factory=dict)
    subscribers: dict[str, list[str]] = field(default_factory=dict)
    connections: list[Connection] = field(default_factory=list)
    stations: dict[int, StationHeard] = field(default_factory=dict)
    codebooks: dict[int, tuple[str, int]] = field(default_factory=dict)
    shared: dict[int, str] = field(default_factory=dict)
    troubles: dict[str, tuple[int, str]] = field(default_factory=dict)


def judge(seen: Observation) -> list[Finding]:
    """Return what is well and what is not."""
    found = _nodes(seen)
    if not any(finding.level == ERROR for finding in found):
        found += [*_topics(seen), *_air(seen), *_codebooks(seen), *_diagnostics(seen)]
    return found


def _named(nodes: Iterable[str], name: str) -> list[str]:
    return sorted(node for node in nodes if node.rpartition("/")[2] == name)


def _nodes(seen: Observation) -> list[Finding]:
    fusions, encoders = _named(seen.nodes, "fusion"), _named(seen.nodes, "encoder")
    if not fusions and not encoders:
        others = f"; {len(seen.nodes)} other nodes are there" if seen.nodes else ""
        return [
            Finding(
                ERROR,
                "nodes",
                f"neither an encoder nor a fusion node in domain {seen.domain}{others}",
                "start the launch file; give this command the same ROS_DOMAIN_ID, "
                "ROS_AUTOMATIC_DISCOVERY_RANGE and RMW_IMPLEMENTATION as the nodes",
            )
        ]
    found = [Finding(OK, "nodes", ", ".join(fusions + encoders))]
    if not fusions:
        text = "encoders only: this station is seen, and sees nothing"
        found.append(Finding(WARNING, "nodes", text, "start `ego` instead of `encoder`"))
    return found


def _topics(seen: Observation) -> list[Finding]:
    """Types, missing publishers, and quality of service."""
    found = [_other_type(item) for item in seen.connections if item.has_other_type]
    named = {item.topic for item in seen.connections if item.has_other_type}
    for topic, types in seen.types.items():
        if len(types) > 1 and topic not in named:
            text = f"has {len(types)} types: {', '.join(types)}"
            remedy = "remap one of the topics; rebuild where a message changed"
            found.append(Finding(ERROR, f"topic {topic}", text, remedy))
    for encoder in _named(seen.nodes, "encoder"):
        subscribed = [t for t, nodes in seen.subscribers.items() if encoder in nodes]
        for topic in subscribed:
            if not topic.startswith(("/clock", "/parameter_events")):
                found += _source(seen, encoder, topic)
    pairs: dict[str, list[Connection]] = defaultdict(list)
    for connection in seen.connections:
        pairs[connection.topic].append(connection)
    for topic, connections in sorted(pairs.items()):
        found += [_mismatch(item) for item in connections if item.problem]
        if all(item.passes for item in connections):
            text = f"{len(connections)} connections, QoS compatible"
            found.append(Finding(OK, f"topic {topic}", text))
    return found


def _source(seen: Observation, node: str, topic: str) -> list[Finding]:
    """Who feeds an input. One that is not heard is an error of the topic, and not well here."""
    publishers = seen.publishers.get(topic, [])
    if publishers:
        unheard = {
            item.publisher
            for item in seen.connections
            if (item.topic, item.subscriber) == (topic, node) and not item.passes
        }
        heard = [name for name in publishers if name not in unheard]
        return [Finding(OK, f"input {topic}", f"{', '.join(heard)} → {node}")] if heard else []
    alike = sorted(
        other
        for other, types in seen.types.items()
        if other != topic and types == seen.types.get(topic) and seen.publishers.get(other)
    )
    hint = f"; of the same type there is {', '.join(alike)}" if alike else ""
    return [
        Finding(
            ERROR,
            f"input {topic}",
            f"nobody publishes what {node} waits for{hint}",
            f"start the driver, or remap: --ros-args -r {topic.rpartition('/')[2]}:=<its topic>",
        )
    ]


def _other_type(connection: Connection) -> Finding:
    return Finding(
        ERROR,
        f"topic {connection.topic}",
        f"{connection.publisher} publishes {connection.published}, "
        f"{connection.subscriber} expects {connection.expected}: no message arrives",
        f"remap one of the two: --ros-args -r {connection.topic.rpartition('/')[2]}:=<its topic>; "
        "rebuild where a message changed",
    )


def _mismatch(connection: Connection) -> Finding:
    return Finding(
        ERROR,
        f"topic {connection.topic}",
        f"no message of {connection.publisher} reaches {connection.subscriber}: "
        f"{connection.problem}",
        "set the policy of one side, here by the parameter "
        f"qos_overrides.{connection.topic}.<publisher or subscription>.reliability (or depth, …)",
    )


def _air(seen: Observation) -> list[Finding]:
    subject = f"air ({INDICES})"
    if not seen.stations:
        return [
            Finding(
                ERROR,
                subject,
                f"no station was heard within {seen.seconds:.0f} s",
                "check that encoders get clouds and poses (/diagnostics), and that the V2X topic "
                "is bridged into this domain",
            )
        ]
    found = [
        Finding(
            OK,
            subject,
            f"station {station}: {heard.rate:.1f} sweeps/s of {heard.mean_bytes:,.0f} bytes",
        )
        for station, heard in sorted(seen.stations.items())
    ]
    for station, text in sorted(seen.shared.items()):
        remedy = f"give each station its own station_id (-1: its host's), not {station}"
        found.append(Finding(ERROR, "station ids", text, remedy))
    if len(seen.stations) == 1 and not seen.shared:
        remedy = "check domain, bridge and firewall of the others; alone the ego fuses itself"
        found.append(Finding(WARNING, subject, "one station alone: no peers heard", remedy))
    silent = sorted(seen.codebooks.keys() - seen.stations.keys())
    if silent:
        names = ", ".join(map(str, silent))
        text = f"announced, but no sweeps heard: {names}"
        remedy = "look at those stations' diagnostics: no cloud, no pose, or a late clock"
        found.append(Finding(WARNING, subject, text, remedy))
    return found


def _codebooks(seen: Observation) -> list[Finding]:
    subject = f"codebooks ({CODEBOOK})"
    unannounced = sorted(seen.stations.keys() - seen.codebooks.keys())
    found = []
    if unannounced:
        names = ", ".join(map(str, unannounced))
        remedy = "let the channel or bridge pass /v2x/codebook, reliable and transient local"
        found.append(Finding(WARNING, subject, f"not announced by {names}", remedy))
    stations_by_id: dict[int, list[int]] = defaultdict(list)
    for station, (_, codebook) in seen.codebooks.items():
        stations_by_id[codebook].append(station)
    if len(stations_by_id) > 1:
        text = "; ".join(
            f"{codebook:016x} of {', '.join(map(str, sorted(stations)))}"
            for codebook, stations in sorted(stations_by_id.items())
        )
        remedy = "give all the same model bundle and map_frame: these refuse each other's sweeps"
        found.append(Finding(ERROR, subject, text, remedy))
    elif stations_by_id:
        ((codebook, stations),) = stations_by_id.items()
        text = f"all {len(stations)} announced stations have {codebook:016x}"
        found.append(Finding(OK, subject, text))
    return found


def _diagnostics(seen: Observation) -> list[Finding]:
    troubles: Mapping[str, tuple[int, str]] = seen.troubles
    found: list[Finding] = []
    for node, (level, message) in sorted(troubles.items()):
        remedy = "its values on /diagnostics name the reason; see docs/troubleshooting.md"
        found.append(Finding(ERROR if level >= 2 else WARNING, node, message, remedy))
    return found or _well(sorted(seen.nodes))


def _well(nodes: Sequence[str]) -> list[Finding]:
    return [Finding(OK, "diagnostics", f"no trouble reported, {len(nodes)} nodes in the graph")]
