"""A run's trace as a picture (SVG) and in characters."""

from __future__ import annotations

from html import escape

from cluster.trace import Event, Run

LEFT, TOP, BELOW, RIGHT = 62, 34, 56, 14
COMPUTE, WAIT, SEND = "#8db9e2", "#e4e4e4", "#b3541e"
MANY = 600
"""Messages beyond which no arrows are drawn: they would cover everything."""
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def units(seconds: float) -> tuple[float, str]:
    """The largest unit of which there is at least one."""
    return next(((size, name) for size, name in _UNITS if seconds >= size), _UNITS[-1])


def told(seconds: float) -> str:
    size, name = units(seconds)
    return f"{seconds / size:.4g} {name}"


def summary(run: Run) -> str:
    """What a picture shows, for those who do not see it."""
    sent = sum(run.bytes_sent)
    rows = [
        f"{run.ranks} ranks, {told(run.time)} of virtual time, "
        f"{sum(run.messages)} messages of {sent} bytes together."
    ]
    for rank in range(min(run.ranks, 8)):
        rows.append(
            f"Rank {rank} computes for {told(run.seconds('compute', rank))}, waits for "
            f"{told(run.seconds('wait', rank))} and sends {run.bytes_sent[rank]} bytes."
        )
    return " ".join(rows)


def text(run: Run, width: int) -> str:
    """One line a rank; in each column what the rank does at its middle."""
    rows = []
    for rank in range(run.ranks):
        line = [" "] * width
        for event in run.trace:
            if event.rank == rank and event.kind != "send" and run.time:
                first, last = (
                    round(width * moment / run.time) for moment in (event.start, event.end)
                )
                line[first:last] = ("#" if event.kind == "compute" else ".") * (last - first)
        rows.append(f"rank {rank:<3}|{''.join(line)}|")
    return "\n".join([*rows, f"         0 to {told(run.time)};  # compute  . wait"])


def svg(run: Run, title: str, width: int) -> str:
    """Bars of computing and waiting; a line for each message, from its leaving to its arrival."""
    tall = 26 if run.ranks <= 16 else 10
    height = TOP + tall * run.ranks + BELOW
    scale = (width - LEFT - RIGHT) / (run.time or 1.0)
    across = lambda seconds: round(LEFT + seconds * scale, 2)
    down = lambda rank: TOP + tall * rank
    title = title or f"{run.ranks} ranks by virtual time"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(title)}" font-family="sans-serif" '
        'font-size="12">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(summary(run))}</desc>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    for rank in range(run.ranks):
        if tall > 12 or rank % 8 == 0:
            label = f"rank {rank}"
            parts.append(
                f'<text x="{LEFT - 8}" y="{down(rank) + 14}" text-anchor="end">{label}</text>'
            )
    parts += [_bar(event, across, down, tall) for event in run.trace if event.kind != "send"]
    messages = [event for event in run.trace if event.kind == "send" and event.peer is not None]
    if len(messages) <= MANY:
        parts += [_arrow(event, across, down, tall) for event in messages]
    return "\n".join([*parts, *_axis(run, across, down(run.ranks)), "</svg>", ""])


def _bar(event: Event, across, down, tall: int) -> str:
    left, right = across(event.start), across(event.end)
    colour = COMPUTE if event.kind == "compute" else WAIT
    name = event.what or event.kind
    about = f"rank {event.rank}, {event.kind}: {name}, {told(event.start)} to {told(event.end)}"
    about += f", {event.where}" if event.where else ""
    bar = (
        f'<g><title>{escape(about)}</title><rect x="{left}" y="{down(event.rank) + 3}" '
        f'width="{round(right - left, 2)}" height="{tall - 6}" fill="{colour}" stroke="white"/>'
    )
    if event.kind == "compute" and event.what and tall > 12 and right - left > 7 * len(event.what):
        middle = round((left + right) / 2, 2)
        bar += f'<text x="{middle}" y="{down(event.rank) + 17}" text-anchor="middle">{escape(event.what)}</text>'
    return bar + "</g>"


def _arrow(event: Event, across, down, tall: int) -> str:
    """A line with a dot where the message arrives."""
    x1, x2 = across(event.start), across(event.end)
    y1, y2 = (round(down(rank) + tall / 2, 1) for rank in (event.rank, event.peer))
    about = f"rank {event.rank} to rank {event.peer}: {event.nbytes} bytes, arrives at {told(event.end)}"
    return (
        f'<g stroke="{SEND}" fill="{SEND}"><title>{escape(about)}</title>'
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/><circle cx="{x2}" cy="{y2}" r="2.5"/></g>'
    )


def _axis(run: Run, across, y: int) -> list[str]:
    """Five marks of time, and what the colours mean."""
    size, name = units(run.time)
    parts = [f'<line x1="{LEFT}" y1="{y}" x2="{across(run.time)}" y2="{y}" stroke="#555"/>']
    for step in range(5):
        moment = run.time * step / 4
        anchor = "start" if step == 0 else "end" if step == 4 else "middle"
        parts.append(
            f'<text x="{across(moment)}" y="{y + 16}" text-anchor="{anchor}">'
            f"{moment / size:.4g}{f' {name}' if step == 4 else ''}</text>"
        )
    x = LEFT
    for colour, label in ((COMPUTE, "compute"), (WAIT, "wait"), (SEND, "message")):
        parts.append(f'<rect x="{x}" y="{y + 28}" width="14" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="{y + 38}">{label}</text>')
        x += 96
    return parts
