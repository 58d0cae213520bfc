"""Stand-in for mmcv's compiled operators, for an mmcv that was installed without a compiler.

A plain ``pip install`` of mmcv from source has no ``mmcv._ext``, and then ``import mmcv.ops`` fails. The
finder (:mod:`aligndet.ops.finder`, installed by ``import aligndet``) answers that one import with operators
made of torchvision's kernels and plain torch (:mod:`aligndet.ops.table`). A compiled ``mmcv._ext`` wins.

A process that imports neither aligndet nor a command of its own, such as mmdet's own ``tools/train.py``, gets
the stand-in by the ``custom_imports`` of the config that it runs (:func:`stand_in_imports`).
"""

from aligndet.ops.finder import has_compiled_operators


def stand_in_imports() -> dict[str, object] | None:
    """Give the ``custom_imports`` that a config needs to run on this machine outside of aligndet.

    Returns:
        None where mmcv has compiled operators.
    """
    if has_compiled_operators():
        return None
    return {"imports": ["aligndet"], "allow_failed_imports": True}
