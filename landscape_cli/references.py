"""BibTeX of papers that several parts rest on."""

FREEMAN_BRUNA = """@inproceedings{freeman2017topology,
  title = {Topology and Geometry of Half-Rectified Network Optimization},
  author = {Freeman, C. Daniel and Bruna, Joan},
  booktitle = {International Conference on Learning Representations},
  year = {2017},
  eprint = {1611.01540},
  archivePrefix = {arXiv}
}"""

GARIPOV = """@inproceedings{garipov2018loss,
  title = {Loss Surfaces, Mode Connectivity, and Fast Ensembling of {DNNs}},
  author = {Garipov, Timur and Izmailov, Pavel and Podoprikhin, Dmitrii and
            Vetrov, Dmitry P. and Wilson, Andrew Gordon},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2018},
  eprint = {1802.10026},
  archivePrefix = {arXiv}
}"""

DRAXLER = """@inproceedings{draxler2018essentially,
  title     = {Essentially No Barriers in Neural Network Energy Landscape},
  author    = {Draxler, Felix and Veschgini, Kambis and Salmhofer, Manfred and
               Hamprecht, Fred A.},
  booktitle = {International Conference on Machine Learning},
  year      = {2018},
  eprint    = {1803.00885},
  archivePrefix = {arXiv}
}"""

AINSWORTH = """@inproceedings{ainsworth2023git,
  title = {Git Re-Basin: Merging Models modulo Permutation Symmetries},
  author = {Ainsworth, Samuel K. and Hayase, Jonathan and Srinivasa, Siddhartha},
  booktitle = {International Conference on Learning Representations},
  year = {2023},
  eprint = {2209.04836},
  archivePrefix = {arXiv}
}"""

GOODFELLOW = """@inproceedings{goodfellow2015qualitatively,
  title = {Qualitatively Characterizing Neural Network Optimization Problems},
  author = {Goodfellow, Ian J. and Vinyals, Oriol and Saxe, Andrew M.},
  booktitle = {International Conference on Learning Representations},
  year = {2015},
  eprint = {1412.6544},
  archivePrefix = {arXiv}
}"""
