"""Stand-in for mmcv's compiled operators, for an mmcv that was installed without a compiler.

A plain ``pip install`` of mmcv from source has no ``mmcv._ext``, and then ``import mmcv.ops`` fails. The
finder (:mod:`aligndet.ops.finder`, installed by ``import aligndet``) answers that one import with operators
made of torchvision's kernels and plain torch (:mod:`aligndet.ops.table`). A compiled ``mmcv._ext`` wins.
"""
