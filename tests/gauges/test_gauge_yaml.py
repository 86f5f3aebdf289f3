"""Every gauge's option builds, shows all settings and refuses what is out of range."""

import dataclasses
import importlib
import pkgutil
from pathlib import Path

import pytest
from compositions import composed

from landscape_cli import config, gauges, listing
from landscape_cli.contracts import Gauge

CONF = Path(__file__).parents[2] / "conf"
NAMES = list(listing.options("gauge", [CONF]))
REFUSED = {  # numbers and words that no field of the name may take
    "restarts": (-1,),
    "examples": (0,),
    "steps": (0,),
    "learning_rate": (0.0, -1.0, float("nan")),
    "optimizer": ("newton",),
}


def built(name):
    cfg = composed("experiment=geodesic", f"gauge={name}").gauge
    return cfg, config.build(cfg, "gauge")


@pytest.mark.parametrize("name", NAMES)
def test_gauge_yaml_builds_and_says_what_it_is(name):
    cfg, gauge = built(name)
    fields = {field.name for field in dataclasses.fields(gauge)}
    assert set(cfg) - {"_target_"} == fields, "the YAML shows all settings"
    assert gauge == type(gauge)(), "and the defaults"
    assert hash(gauge) == hash(type(gauge)())
    assert (CONF / "gauge" / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")
    assert type(gauge).__module__.endswith(f".{name}"), "messages name the option by the file"


def test_every_gauge_has_an_option():
    for module in pkgutil.iter_modules(gauges.__path__):
        importlib.import_module(f"{gauges.__name__}.{module.name}")
    found, waiting = set(), [Gauge]
    while waiting:
        below = [c for c in waiting.pop().__subclasses__() if c.__module__.startswith("landscape")]
        waiting += below
        found |= {c for c in below if not c.__abstractmethods__}
    assert {type(built(name)[1]) for name in NAMES} == found
    assert all(gauge.__doc__ for gauge in found)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_out_of_range_is_refused_by_name(name):
    _, gauge = built(name)
    for field in dataclasses.fields(gauge):
        assert field.name in REFUSED or isinstance(getattr(gauge, field.name), bool)
        for value in REFUSED.get(field.name, ()):
            with pytest.raises(ValueError, match=f"^{field.name}"):
                dataclasses.replace(gauge, **{field.name: value})
