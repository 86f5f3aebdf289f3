"""Papers that gauges are from."""

from __future__ import annotations

AINSWORTH = """@inproceedings{ainsworth2023git,
  title = {Git Re-Basin: Merging Models modulo Permutation Symmetries},
  author = {Ainsworth, Samuel K. and Hayase, Jonathan and Srinivasa, Siddhartha},
  booktitle = {International Conference on Learning Representations},
  year = {2023},
  eprint = {2209.04836},
  archivePrefix = {arXiv}
}"""
