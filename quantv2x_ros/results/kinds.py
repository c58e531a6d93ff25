# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The forms of tables: each takes the JSON of one measuring command.

A form reads the entries as they are. An entry that is missing is a KeyError, one of another type a
TypeError or ValueError; the page turns both into an error that names the file. A number that is
null, since it was not measured, is shown as a dash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quantv2x_ros.evaluation.link_report import link_table
from quantv2x_ros.evaluation.markdown import table

#: Label of files → content of each.
Contents = Mapping[str, Sequence[Mapping[str, Any]]]
Options = Mapping[str, str]

DASH = "–"


@dataclass(frozen=True)
class Kind:
    """One form of a table.

    Attributes:
        command: command whose JSON it takes.
        make: makes Markdown of the files' contents and the table's options.
    """

    command: str
    make: Callable[[Contents, Options], str]


def number(value: float | None, digits: int = 3) -> str:
    """Word a number with so many decimal places, a whole one without; a dash for None."""
    if value is None:
        return DASH
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def milliseconds(value: float | None) -> str:
    """Word a time: whole milliseconds from 100 on, else one decimal place."""
    return number(value, 1 if value is None or value < 99.95 else 0)


def percent(share: float | None) -> str:
    """Word a share as a percentage without decimal places."""
    return DASH if share is None else f"{share:.0%}"


def _only(contents: Contents) -> Mapping[str, Any]:
    """Return the content of the only file."""
    ((content,),) = contents.values()
    return content


def precision(contents: Contents, options: Options) -> str:
    """AP by class of several evaluations.

    The option `overlaps` holds the BEV IoUs, separated by commas.
    """
    overlaps = [text.strip() for text in options.get("overlaps", "0.3, 0.5").split(",")]
    columns = [(label, files[0], iou) for label, files in contents.items() for iou in overlaps]
    classes = list(columns[0][1]["AP"])
    rows = [
        [name, *(number(result["AP"][name][iou]) for _, result, iou in columns)] for name in classes
    ]
    rows.append(["mean", *(number(result["mAP"][iou]) for _, result, iou in columns)])
    if all("intervals" in result for _, result, _ in columns):
        bounds = (result["intervals"]["mean"][iou] for _, result, iou in columns)
        rows.append(
            ["mean on other scenes, 95 %", *(f"{low:.3f}-{high:.3f}" for low, high in bounds)]
        )
    return table(["class", *(f"{label}, AP@{iou}" for label, _, iou in columns)], rows)


def tracking(contents: Contents, _: Options) -> str:
    """How objects are followed, by class."""
    rows = [
        [
            name,
            number(row["MOTA"]),
            number(row["MOTP"]),
            *(number(row[count], 0) for count in ("id_switches", "missed", "false", "objects")),
        ]
        for name, row in _only(contents)["tracking"].items()
    ]
    header = ["class", "MOTA", "MOTP", "id switches", "missed", "false", "objects"]
    return table(header, rows)


def cooperation(contents: Contents, _: Options) -> str:
    """What peers add: of each label two evaluations, the ego alone and with peers."""
    rows = []
    for label, (alone, together) in contents.items():
        vehicle = [result["AP"]["vehicle"]["0.5"] for result in (alone, together)]
        rows.append(
            [
                label,
                number(sum(together["objects"].values()) / together["frames"], 0),
                *map(number, vehicle),
                f"{vehicle[1] - vehicle[0]:+.3f}",
                *(number(result["mAP"]["0.5"]) for result in (alone, together)),
            ]
        )
    header = ["scenes", "objects a frame", "vehicle AP@0.5, alone", "with peers", "gain"]
    return table([*header, "mAP@0.5, alone", "with peers"], rows)


def link(contents: Contents, _: Options) -> str:
    """Bytes and AP for each setting of the link that `evaluate --sweep` measured."""
    text = link_table(_only(contents))
    if not text:
        raise KeyError("sweeps")
    return text


def treatment(contents: Contents, options: Options) -> str:
    """MAP over a fault, untreated and treated.

    The options `series` and `treated` name the two series of `evaluate --sweep`; `value` is the
    heading of the fault's column, `as_is` and `treatment` are those of the two others. `further`
    holds more series with their headings: `latency_ms_late: boxes, latency_ms_hybrid: both`.
    """
    sweeps = _only(contents)["sweeps"]
    untreated = sweeps[options["series"]]
    shown = {options["series"]: options["as_is"], options["treated"]: options["treatment"]}
    for item in filter(None, options.get("further", "").split(",")):
        series, heading = item.split(":")
        shown[series.strip()] = heading.strip()
    by_value = [{point["value"]: point["mAP"] for point in sweeps[series]} for series in shown]
    rows = []
    for point in untreated:
        others = [series.get(point["value"], {}) for series in by_value]
        cells = (number(m_ap.get(iou)) for iou in ("0.3", "0.5") for m_ap in others)
        rows.append([f"{point['value']:g}", *cells])
    first = untreated[0]["first_number"]
    for point in sweeps.get("alone", []):
        if point["first_number"] == first:
            blank = [DASH] * (len(shown) - 1)
            m_ap = point["mAP"]
            rows.append(["ego alone", number(m_ap["0.3"]), *blank, number(m_ap["0.5"]), *blank])
    columns = [f"mAP@{iou} {heading}" for iou in ("0.3", "0.5") for heading in shown.values()]
    return table([options["value"], *columns], rows)


_STAGES = {
    "encoder": "encoding a sweep",
    "fusion": "pyramids, warp, heads",
    "detection": "boxes",
    "frame": "whole frame",
    "nms": "suppression of 1,000 candidates",
}
_FINER_STAGES = {
    "encoder.pillars": "pillars",
    "encoder.encoder": "encoder engine",
    "encoder.codebook": "codebook",
    "fusion.pyramid_per_agent": "pyramid, each agent",
    "fusion.warp": "warp and weighted sum",
    "fusion.head": "heads",
}
#: Stages that have no engine, and so no ceiling.
_OTHER_STAGES = {
    "detection.detection": "decoding and suppression",
    "detection.contributions": "who saw what",
}


def stages(contents: Contents, _: Options) -> str:
    """Milliseconds of the main stages beside the plain torch network in FP32."""
    rows = []
    for name, row in _only(contents)["stages"].items():
        own, other = row["ours"], row["torch_fp32"] or {}
        times = [own["p50"], own["p95"], own["min"], other.get("p50"), other.get("min")]
        ratio = milliseconds(row["ratio"]) if other else DASH
        rows.append([_STAGES[name], *map(milliseconds, times), ratio])
    return table(["stage", "here, p50", "p95", "best", "torch, p50", "best", "ratio of p50"], rows)


def roofline(contents: Contents, _: Options) -> str:
    """Milliseconds of each stage beside the least that the machine's ceilings allow."""
    result = _only(contents)
    times, costs = result["finer_stages"], result["roofline"]["stages"]
    rows = []
    for name, title in _FINER_STAGES.items():
        cost, time = costs[name], times[name]
        values = [milliseconds(time["p50"]), milliseconds(time["min"])]
        gmac = number(cost["macs"] / 1e9, 2)
        rows.append([title, *values, gmac, milliseconds(cost["least_ms"]), cost["bound"]])
    for name, title in _OTHER_STAGES.items():
        time = times[name]
        values = [milliseconds(time["p50"]), milliseconds(time["min"])]
        rows.append([title, *values, DASH, DASH, DASH])
    header = ["stage", "p50, ms", "best, ms", "GMAC", "least by the ceilings, ms", "bound by"]
    ceilings = result["roofline"]["ceilings"]
    compute = number(ceilings["int8_gmacs_per_second"], 0)
    memory = number(ceilings["memory_gb_per_second"], 0)
    return f"{table(header, rows)}\nCeilings: {compute} GMAC/s in INT8, {memory} GB/s."


def growth_with_agents(contents: Contents, _: Options) -> str:
    """Milliseconds of a frame and peak memory by the number of agents."""
    result = _only(contents)
    memory = result["peak_memory_mb"]
    rows = []
    for agents, row in result["scaling"]["agents"].items():
        frame = row["frame"]
        torch = (result["agents"].get(agents) or {}).get("torch_fp32") or {}
        rows.append(
            [
                agents,
                milliseconds(frame["p50"]),
                milliseconds(frame["min"]),
                milliseconds(torch["frame"]["p50"] if torch else None),
                number(memory["ours"].get(agents), 0),
                number(memory.get("torch_fp32", {}).get(agents), 0),
            ]
        )
    header = ["agents", "here, p50, ms", "best, ms", "torch, p50, ms"]
    return table([*header, "peak memory here, MB", "torch, MB"], rows)


def growth_with_points(contents: Contents, _: Options) -> str:
    """Milliseconds of encoding by the number of points of a cloud."""
    rows = [
        [f"{int(points):,}", *(milliseconds(row[name]["p50"]) for name in _ENCODING)]
        for points, row in _only(contents)["scaling"]["points"].items()
    ]
    return table(["points", "encoding a sweep, p50, ms", "of which pillars, ms"], rows)


_ENCODING = ("encoder", "encoder.pillars")


def growth_with_range(contents: Contents, _: Options) -> str:
    """Milliseconds of a frame by the length of the grid."""
    rows = [
        [length, milliseconds(row["stages"]["frame"]["p50"])]
        for length, row in _only(contents)["scaling"]["range"].items()
    ]
    return table(["length of the grid, m", "whole frame, p50, ms"], rows)


def nodes(contents: Contents, _: Options) -> str:
    """Rate and latencies of running nodes, a row for each run."""
    latencies = ("cloud_to_indices_ms", "inputs_to_objects_ms", "cloud_to_objects_ms")
    rows = []
    for label, (result,) in contents.items():
        for run in result["runs"]:
            cells = [_percentiles(run.get(name)) for name in latencies]
            rate = number(run["rate_hz"], 1)
            rows.append([label or "nodes", f"{run['input_hz']:g}", rate, *cells])
    header = ["", "sweeps a second in", "results a second out", "cloud to indices, p50 / p95, ms"]
    header += ["last input to boxes, p50 / p95, ms", "cloud to boxes, p50 / p95, ms"]
    return table(header, rows)


def _percentiles(row: Mapping[str, float | None] | None) -> str:
    if row is None:
        return DASH
    return f"{milliseconds(row['p50'])} / {milliseconds(row['p95'])}"


def quantization(contents: Contents, _: Options) -> str:
    """Size, operations and mAP of a network in several precisions; FP32 is the first file's."""
    rows: list[list[str]] = []
    for label, (result,) in contents.items():
        entries = [(label, result["precision"])]
        if not rows:
            entries.insert(0, ("FP32", "fp32"))
        for name, precision_name in entries:
            cost, measured = result["cost"][precision_name], result["measured"][precision_name]
            size, operations = number(cost["size_MB"], 1), number(cost["TBOPS"], 1)
            m_ap = [number(measured["mAP"][iou]) for iou in ("0.3", "0.5", "0.7")]
            rows.append([name, size, operations, *m_ap])
    return table(["", "size, MB", "TBOPS", "mAP@0.3", "mAP@0.5", "mAP@0.7"], rows)


def sensitivity(contents: Contents, _: Options) -> str:
    """How boxes and mAP change where one part alone is quantized."""
    rows = []
    for row in _only(contents)["sensitivity"]:
        boxes = row["boxes"]
        rows.append(
            [
                _PARTS.get(row["part"], row["part"]),
                f"{boxes['boxes'][0]:,}",
                percent(boxes["same_share"]),
                number(boxes["centre_median_m"], 2),
                number(boxes["score_median"]),
                *(number(row["mAP"][iou]) for iou in ("0.3", "0.5")),
            ]
        )
    header = ["quantized", "boxes", "same as in FP32", "moved, median, m", "score changed, median"]
    return table([*header, "mAP@0.3", "mAP@0.5"], rows)


_PARTS = {"shrink": "shrink convolutions"}


def flood(contents: Contents, _: Options) -> str:
    """Results and processor time of an ego that an attacker floods, by phase."""
    result = _only(contents)
    rows = [
        [
            _PHASES[name],
            number(phase["results"], 2),
            percent(phase["with_peers"]),
            number(phase["cores"], 2),
        ]
        for name, phase in result["phases"].items()
    ]
    kept = [number(result["rate_kept"][name], 2) for name in ("quiet", "unheard")]
    header = ["phase", "results a second", "with peers", "cores that the ego's process takes"]
    text = f"Rate kept under attack, median over rounds: {kept[0]} of quiet, {kept[1]} of unheard."
    return f"{table(header, rows)}\n{text}"


_PHASES = {"quiet": "quiet", "unheard": "the same messages, unheard", "attack": "attack"}


def consistency(contents: Contents, _: Options) -> str:
    """How often honest and lying peers are flagged."""
    rows = [
        [
            name,
            kind["peers"],
            percent(kind["flagged"]),
            percent(kind["contradicted"]["median"]),
            percent(kind["false_objects"]),
        ]
        for name, kind in _only(contents)["kinds"].items()
    ]
    header = ["peer", "peers", "suspect at the end", "contradicted cells, median"]
    return table([*header, "frames with a false object"], rows)


def soak(contents: Contents, _: Options) -> str:
    """Gaps between results, memory and drops of long runs, a row for each."""
    rows = []
    for label, (result,) in contents.items():
        gaps = result["deadlines"]
        rows.append(
            [
                label,
                "; ".join(_memory(name, row) for name, row in result["memory"].items()),
                "; ".join(_drops(name, row) for name, row in result["dropped"].items()) or DASH,
                number(result["seconds"] / 60, 0),
                f"{gaps['results']:,}",
                number(gaps["median_gap_s"], 2),
                number(gaps["longest_gap_s"], 2),
                str(gaps["missed"]),
            ]
        )
    header = ["run", "memory at the end and its growth, MiB", "dropped", "minutes", "results"]
    header += ["median gap, s", "longest gap, s", "deadlines missed"]
    return table(header, rows, texts=3)


def _memory(name: str, row: Mapping[str, float | None]) -> str:
    growth = row["growth_mib"]
    grown = DASH if growth is None else f"{growth:+.1f}"
    return f"{name} {number(row['last_mib'], 0)}, {grown}"


def _drops(node: str, reasons: Mapping[str, int]) -> str:
    counts = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
    return f"{node.strip('/')}: {counts}"


def plain(contents: Contents, _: Options) -> str:
    """The entries `columns` and `rows` of a file that was written by hand."""
    content = _only(contents)
    header = content["columns"]
    for row in content["rows"]:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells, and the table {len(header)} columns")
    rows = [[DASH if cell is None else cell for cell in row] for row in content["rows"]]
    return table(header, rows)


#: Name in the index → form.
KINDS = {
    "precision": Kind("evaluate", precision),
    "cooperation": Kind("evaluate", cooperation),
    "tracking": Kind("evaluate --set measure.tracking=true", tracking),
    "link": Kind("evaluate --sweep link", link),
    "treatment": Kind("evaluate --sweep latency_ms,latency_ms_uncompensated", treatment),
    "stages": Kind("benchmark", stages),
    "roofline": Kind("benchmark", roofline),
    "growth_with_agents": Kind("benchmark", growth_with_agents),
    "growth_with_points": Kind("benchmark", growth_with_points),
    "growth_with_range": Kind("benchmark", growth_with_range),
    "nodes": Kind("benchmark-nodes", nodes),
    "quantization": Kind("quantize --evaluate DATA", quantization),
    "sensitivity": Kind("quantize --evaluate DATA --sensitivity", sensitivity),
    "flood": Kind("flood", flood),
    "consistency": Kind("consistency", consistency),
    "soak": Kind("soak", soak),
    "plain": Kind("a measuring command", plain),
}
