"""Stage 1: the backbone. Training is mmpretrain's, by config; this package carries its result into stage 2.

``sources`` reads weights from wherever they lie, ``keys`` finds how their names map to the detector's
backbone, ``backbones`` builds that backbone from a config, ``convert`` puts the three together.
"""
