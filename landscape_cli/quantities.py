"""Bytes and seconds as people write them."""

from __future__ import annotations


def in_bytes(count: float) -> str:
    """`3.1 MiB`, `24 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000 or unit == "GiB":
            break
        count /= 1024
    return f"{count:,.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"


def in_seconds(seconds: float) -> str:
    """`35 µs`, `6.1 ms`, `12 s`, `4 min`, `2.5 h`, `3 days`."""
    for limit, unit, name in (
        (1e-3, 1e-6, "µs"), (1, 1e-3, "ms"), (120, 1, "s"), (7200, 60, "min"), (2e5, 3600, "h"),
    ):  # fmt: skip
        if seconds < limit:
            value = seconds / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{seconds / 86400:,.0f} days"
