"""Figures and tables of papers, as numbers to lay over ours. Levels, means, standard errors.

Freeman & Bruna, 2017, arXiv 1611.01540: read off the vector graphics of the results figure.
Normalized length and number of beads (ends included) against the level; error bars there are
one standard error. NaN: no error bar could be read.

Draxler et al., 2018, arXiv 1803.00885, table B.1, and Garipov et al., 2018, arXiv 1802.10026,
table 2: not curves. `marks` are energies, drawn as lines and named in the summary, `numbers` what
the summary names only. A path whose highest loss is λ and whose length over chord is l is a point
(λ, l), and an upper bound: l was not made small. Nothing joins such points (`joined`).
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
    "fb2016_cifar": {
        "label": f"{LABEL} (convolutional net, test error)",
        "level": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
        "length": [1.845, 1.159, 1.0116, 1.0052, 1.0029, 1.0000, 1.0005],
        "length_error": [0.069, 0.011, 0.0021, 0.0009, 0.0006, NAN, 0.0003],
        "beads": [5.90, 3.90, 3, 3.08, 3, 3, 3],
        "beads_error": [0.36, 0.17, NAN, 0.07, NAN, NAN, NAN],
    },
    "draxler2018_resnet20": {
        "label": "Draxler et al. 2018 (ResNet-20, CIFAR-10)",
        "level": [],
        "marks": {"train loss of minima": 0.0162, "train loss of saddles": 0.0324},
        "numbers": {
            **{"test loss of minima": 0.36, "test loss of saddles": 0.38},
            **{"test error of minima": 0.085, "test error of saddles": 0.089},
        },
    },
    "garipov2018_resnet": {
        "label": "Garipov et al. 2018 (Bezier curve, polygonal chain; not shortest)",
        "level": [0.022, 0.047],
        "length": [2.13, 3.48],
        "joined": False,
        "marks": {"train loss of single networks": 0.015},
        "numbers": {
            **{"highest train loss of the chord": 2.613, "highest test error of the chord": 0.8},
            **{
                "highest test error of the curve": 0.0624,
                "highest test error of the chain": 0.0735,
            },
        },
    },
}


def published(name: str) -> dict[str, Any]:
    """The figure `name`, every series as long as its levels; missing ones NaN."""
    figure = dict(PUBLISHED[name])
    blank = [NAN] * len(figure["level"])
    series = {key: figure.get(key, blank) for key in SERIES}
    rest = {"joined": True, "marks": {}, "numbers": {}}
    return {**rest, **figure, **series}


SERIES = ("length", "length_error", "beads", "beads_error")
