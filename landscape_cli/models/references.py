"""BibTeX of the works the models come from, for a run's list of references."""

MULLER_BROWN = """@article{muller1979location,
  title   = {Location of saddle points and minimum energy paths by a constrained simplex
             optimization procedure},
  author  = {M{\\"u}ller, Klaus and Brown, Leo D.},
  journal = {Theoretica Chimica Acta},
  volume  = {53},
  pages   = {75--93},
  year    = {1979},
  doi     = {10.1007/BF00547608},
}"""
