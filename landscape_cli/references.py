"""BibTeX of papers that several parts rest on."""

FREEMAN_BRUNA = """@inproceedings{freeman2017topology,
  title = {Topology and Geometry of Half-Rectified Network Optimization},
  author = {Freeman, C. Daniel and Bruna, Joan},
  booktitle = {International Conference on Learning Representations},
  year = {2017},
  eprint = {1611.01540},
  archivePrefix = {arXiv}
}"""
