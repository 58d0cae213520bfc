"""AlignDet: pre-train whole mmdet detectors on unlabelled images.

Importing the package is cheap: it loads neither torch nor any OpenMMLab package. Modules register
themselves on demand through the locations in :mod:`aligndet.registry`. It also installs the import hook that
lets an mmcv without compiled operators run (:mod:`aligndet.ops.finder`).
"""

from aligndet.ops import finder as _finder

__version__ = "0.1.0"

_finder.install()
