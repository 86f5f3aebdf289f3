"""Figures of papers, as numbers to lay over ours. Levels, means, standard errors.

Freeman & Bruna, 2017, arXiv 1611.01540: read off the vector graphics of the results figure.
Normalized length and number of beads (ends included) against the level; error bars there are
one standard error. NaN: no error bar could be read.
"""

from __future__ import annotations

from typing import Any

LABEL = "Freeman & Bruna 2017"
NAN = float("nan")

PUBLISHED: dict[str, dict[str, Any]] = {
    "fb2016_quadratic": {
        "label": f"{LABEL} (sigmoid, test absolute error)",
        "level": [0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.125],
        "length": [1.863, 1.754, 1.661, 1.650, 1.476, 1.329, 1.366, 1.291, 1.346, 1.270],
        "length_error": [0.154, 0.141, 0.127, 0.115, 0.104, 0.073, 0.089, 0.066, 0.069, 0.049],
        "beads": [62.4, 38.3, 23.5, 18.8, 13.8, 8.17, 6.81, 5.40, 5.04, 3.98],
        "beads_error": [5.9, 4.7, 2.4, 2.0, 1.4, 0.66, 0.55, 0.40, 0.33, 0.24],
    },
    "fb2016_cubic": {
        "label": f"{LABEL} (sigmoid, test absolute error)",
        "level": [
            *(0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.12, 0.14),
            *(0.15, 0.152, 0.154, 0.156, 0.158, 0.160, 0.162, 0.164, 0.168, 0.170),
            *(0.18, 0.20, 0.24, 0.32),
        ],
        "length": [
            *(1.872, 1.688, 1.509, 1.447, 1.428, 1.435, 1.418, 1.394, 1.382, 1.375, 1.422),
            *(1.657, 1.783, 1.989, 2.415, 2.538, 2.278, 1.870, 1.523, 1.0064, 1.0043),
            *(1.0047, 1.0038, 1.0043, 1.0027),
        ],
        "length_error": [
            *(0.082, 0.076, 0.060, 0.045, 0.047, 0.044, 0.045, 0.041, 0.057, 0.055, 0.056),
            *(0.092, 0.115, 0.116, 0.133, 0.148, 0.069, 0.082, 0.065, 0.0031, NAN),
            *(NAN, NAN, NAN, NAN),
        ],
        "beads": [
            *(46.3, 27.3, 18.7, 15.9, 14.1, 12.4, 10.9, 9.50, 7.61, 5.96, 4.52),
            *(3.74, 3.79, 3.60, 3.60, 3.43, 3.28, 3.23, 3.08, 3.16, 3.15),
            *(3.16, 3.20, 3.26, 3.11),
        ],
    },
    "fb2016_mnist": {
        "label": f"{LABEL} (convolutional net, test error)",
        "level": [0.007, 0.0075, 0.00775, 0.008, 0.0085, 0.009, 0.01, 0.015, 0.02, 0.04],
        "length": [
            *(1.0708, 1.0470, 1.0299, 1.0258, 1.0262, 1.0219, 1.0165, 1.0077, 1.0053, 1.0033),
        ],
        "length_error": [
            *(0.0080, 0.0062, 0.0032, 0.0015, 0.0028, 0.0014, 0.0013, 0.0002, 0.0001, 0.0001),
        ],
        "beads": [7.12, 6.63, 5.68, 6.00, 5.94, 5.92, 5.48, 5.11, 4.79, 4.09],
        "beads_error": [0.29, 0.25, 0.20, 0.15, 0.15, 0.13, 0.08, 0.07, 0.07, 0.12],
    },
}


def published(name: str) -> dict[str, Any]:
    """The figure `name`, every series as long as its levels; missing ones NaN."""
    figure = dict(PUBLISHED[name])
    blank = [NAN] * len(figure["level"])
    return {key: figure.get(key, blank) for key in ("label", "level", *SERIES)}


SERIES = ("length", "length_error", "beads", "beads_error")
