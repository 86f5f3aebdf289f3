"""Configurations as the command composes them."""

from functools import cache

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from landscape_cli import listing


@cache  # composing takes longer than most of what is asked of the outcome
def composed(*words: str) -> DictConfig:
    """What `landscape run` with these overrides hands to Hydra's task; not to be changed.

    Example:
        composed("experiment=geodesic", "model=ring").model
    """
    with initialize_config_dir(str(listing.conf_folder()), version_base="1.3"):
        cfg = compose("config", overrides=list(words))
    OmegaConf.set_readonly(cfg, True)
    return cfg


def method_node(name: str) -> DictConfig:
    """What an option of `method` brings; all of them are composed at once."""
    names = listing.options("method", [listing.conf_folder()])
    each = [f"+method@each.{option}={option}" for option in names]
    return composed("experiment=geodesic", *each).each[name]
