"""BibTeX of the works that bands and strings come from, for a run's list of references."""

HENKELMAN_TANGENT = """@article{henkelman2000improved,
  title   = {Improved tangent estimate in the nudged elastic band method for finding minimum
             energy paths and saddle points},
  author  = {Henkelman, Graeme and J{\\'o}nsson, Hannes},
  journal = {The Journal of Chemical Physics},
  volume  = {113},
  pages   = {9978--9985},
  year    = {2000},
  doi     = {10.1063/1.1323224},
}"""

HENKELMAN_CLIMBING = """@article{henkelman2000climbing,
  title   = {A climbing image nudged elastic band method for finding saddle points and minimum
             energy paths},
  author  = {Henkelman, Graeme and Uberuaga, Blas P. and J{\\'o}nsson, Hannes},
  journal = {The Journal of Chemical Physics},
  volume  = {113},
  pages   = {9901--9904},
  year    = {2000},
  doi     = {10.1063/1.1329672},
}"""

STRING_METHOD = """@article{e2007simplified,
  title   = {Simplified and improved string method for computing the minimum energy paths in
             barrier-crossing events},
  author  = {E, Weinan and Ren, Weiqing and Vanden-Eijnden, Eric},
  journal = {The Journal of Chemical Physics},
  volume  = {126},
  pages   = {164103},
  year    = {2007},
  doi     = {10.1063/1.2720838},
}"""

DOUBLY_NUDGED = """@article{trygubenko2004doubly,
  title   = {A doubly nudged elastic band method for finding transition states},
  author  = {Trygubenko, Semen A. and Wales, David J.},
  journal = {The Journal of Chemical Physics},
  volume  = {120},
  pages   = {2082--2094},
  year    = {2004},
  doi     = {10.1063/1.1636455},
}"""
