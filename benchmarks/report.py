"""Tables of the medians and of the ratios, in Markdown."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

from .task import Figures
from .works import FLAT, OURS, Growth, Metric, Work

Results = Mapping[str, Mapping[str, Sequence[Figures]]]
"""By work and client, the figures of each round."""


def median(work: Work, metric: Metric, results: Results, client: str) -> float | None:
    """None if the client did not do this work."""
    runs = results.get(work.name, {}).get(client, ())
    return statistics.median(metric.of(figures) for figures in runs) if runs else None


def shown(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def spread(work: Work, metric: Metric, results: Results, client: str) -> str:
    values = [metric.of(figures) for figures in results[work.name][client]]
    return f"{shown(min(values))}-{shown(max(values))}"


def rows(table: Sequence[Sequence[str]]) -> str:
    """The first row is the head, the first two columns are text."""
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
    marks = ["-" * width if at < 2 else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    lines.insert(1, f"| {' | '.join(marks)} |")
    return "\n".join(lines)


def figures_table(works: Sequence[Work], clients: Sequence[str], results: Results) -> str:
    """Medians with the least and the most of all rounds; a dash where a client cannot."""
    table = [["work", "figure", *clients]]
    for work in works:
        for metric in work.metrics:
            cells = []
            for client in clients:
                value = median(work, metric, results, client)
                cell = shown(value) if value is not None else "-"
                if value is not None and len(results[work.name][client]) > 1:
                    cell += f" ({spread(work, metric, results, client)})"
                cells.append(cell)
            table.append([work.title, f"{metric.name}, {metric.unit}", *cells])
    return rows(table)


def ratio_rows(
    work: Work, metric: Metric, clients: Sequence[str], results: Results
) -> Iterator[list[str]]:
    for ours in OURS:
        mine = median(work, metric, results, ours)
        cells = []
        for peer in clients:
            theirs = median(work, metric, results, peer)
            if mine is None or theirs is None:
                cells.append("-")
                continue
            ratio = metric.ratio(mine, theirs)
            cell = f"{ratio:.2f}"
            for variant, other, bar in metric.bars:
                if (variant, other) == (ours, peer):
                    cell += f" ({'reaches' if ratio >= bar else 'below'} {bar:g})"
            cells.append(cell)
        if mine is not None:
            yield [work.title, f"{metric.name}, {ours}", *cells]


def ratio_table(works: Sequence[Work], clients: Sequence[str], results: Results) -> str:
    """How many times as good as each peer trioquic is, with the bar where there is one."""
    peers = [client for client in clients if client not in OURS]
    table = [["work", "trioquic's", *(f"x {peer}" for peer in peers)]]
    for work in works:
        for metric in work.metrics:
            table += ratio_rows(work, metric, peers, results)
    return rows(table)


def growth_rows(growth: Growth, results: Results) -> Iterator[list[str]]:
    for number, metric in enumerate(growth.works[0].metrics):
        for client in OURS:
            costs = [median(work, work.metrics[number], results, client) for work in growth.works]
            known = [cost for cost in costs if cost is not None]
            if len(known) < len(costs):
                continue
            points = zip(growth.labels, known, strict=True)
            worst = max(known) / known[0]
            yield [
                growth.title,
                f"{metric.name}, {metric.unit}, {client}",
                ", ".join(f"{label}: {cost:.3g}" for label, cost in points),
                f"{worst:.2f} ({'flat' if worst <= FLAT else f'not within {FLAT:g}'})",
            ]


def growth_table(growths: Sequence[Growth], results: Results) -> str:
    """What a byte or a packet costs as the work grows; the most as a multiple of the first."""
    table = [["what grows", "cost", "at", "most / first"]]
    for growth in growths:
        table += growth_rows(growth, results)
    return rows(table)
