"""BibTeX of the works the data sets come from, for a run's list of references."""

LECUN = """@article{lecun1998gradient,
  title   = {Gradient-Based Learning Applied to Document Recognition},
  author  = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal = {Proceedings of the IEEE},
  volume  = {86},
  number  = {11},
  pages   = {2278--2324},
  year    = {1998},
  doi     = {10.1109/5.726791},
}"""

ALPAYDIN_KAYNAK = """@misc{alpaydin1998optical,
  title        = {Optical Recognition of Handwritten Digits},
  author       = {Alpaydin, Ethem and Kaynak, Cenk},
  howpublished = {UCI Machine Learning Repository},
  year         = {1998},
  doi          = {10.24432/C50P49},
}"""

KRIZHEVSKY = """@techreport{krizhevsky2009learning,
  title       = {Learning Multiple Layers of Features from Tiny Images},
  author      = {Krizhevsky, Alex},
  institution = {University of Toronto},
  year        = {2009},
}"""

XIAO = """@misc{xiao2017fashion,
  title         = {Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine Learning
                   Algorithms},
  author        = {Xiao, Han and Rasul, Kashif and Vollgraf, Roland},
  year          = {2017},
  eprint        = {1708.07747},
  archiveprefix = {arXiv},
}"""

CLANUWAT = """@misc{clanuwat2018deep,
  title         = {Deep Learning for Classical {Japanese} Literature},
  author        = {Clanuwat, Tarin and Bober-Irizar, Mikel and Kitamoto, Asanobu and Lamb, Alex
                   and Yamamoto, Kazuaki and Ha, David},
  year          = {2018},
  eprint        = {1812.01718},
  archiveprefix = {arXiv},
}"""
