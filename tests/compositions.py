"""Configurations as the command composes them."""

from copy import deepcopy
from functools import cache

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from landscape_cli import listing


@cache  # composing takes longer than most of what is asked of the outcome
def composed(*words: str) -> DictConfig:
    """What `landscape run` with these overrides hands to Hydra's task; not to be changed.

    Example:
        composed("experiment=geodesic", "model=ring").model
    """
    values = [word for word in words if not is_choice(word)]
    if values:  # are set when files have been chosen and merged, by Hydra, too
        cfg = deepcopy(composed(*(word for word in words if is_choice(word))))
        OmegaConf.set_readonly(cfg, False)
        ConfigLoaderImpl._apply_overrides_to_config(
            OverridesParser.create().parse_overrides(values), cfg
        )
    else:
        with initialize_config_dir(str(listing.conf_folder()), version_base="1.3"):
            cfg = compose("config", overrides=list(words))
    OmegaConf.set_readonly(cfg, True)
    return cfg


def is_choice(word: str) -> bool:
    """Whether an override chooses a file, as `model=ring` does, or says where files are."""
    key = word.lstrip("+~").partition("=")[0]
    return "@" in key or key.startswith("hydra.") or (listing.conf_folder() / key).is_dir()


def method_node(name: str) -> DictConfig:
    """What an option of `method` brings; all of them are composed at once."""
    names = listing.options("method", [listing.conf_folder()])
    each = [f"+method@each.{option}={option}" for option in names]
    return composed("experiment=geodesic", *each).each[name]
