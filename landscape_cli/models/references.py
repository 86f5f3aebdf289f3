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

HE_RESNET = """@inproceedings{he2016deep,
  title     = {Deep Residual Learning for Image Recognition},
  author    = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {770--778},
  year      = {2016},
  eprint    = {1512.03385},
  archivePrefix = {arXiv}
}"""

HE_PRERESNET = """@inproceedings{he2016identity,
  title     = {Identity Mappings in Deep Residual Networks},
  author    = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  booktitle = {European Conference on Computer Vision},
  pages     = {630--645},
  year      = {2016},
  eprint    = {1603.05027},
  archivePrefix = {arXiv}
}"""

SIMONYAN_VGG = """@inproceedings{simonyan2015very,
  title     = {Very Deep Convolutional Networks for Large-Scale Image Recognition},
  author    = {Simonyan, Karen and Zisserman, Andrew},
  booktitle = {International Conference on Learning Representations},
  year      = {2015},
  eprint    = {1409.1556},
  archivePrefix = {arXiv}
}"""

HUANG_DENSENET = """@inproceedings{huang2017densely,
  title     = {Densely Connected Convolutional Networks},
  author    = {Huang, Gao and Liu, Zhuang and van der Maaten, Laurens and Weinberger, Kilian Q.},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {4700--4708},
  year      = {2017},
  eprint    = {1608.06993},
  archivePrefix = {arXiv}
}"""

KRIZHEVSKY_ALEXNET = """@inproceedings{krizhevsky2012imagenet,
  title     = {{ImageNet} Classification with Deep Convolutional Neural Networks},
  author    = {Krizhevsky, Alex and Sutskever, Ilya and Hinton, Geoffrey E.},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {25},
  year      = {2012}
}"""
