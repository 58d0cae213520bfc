"""InsLoc (CVPR 2021): pre-train backbone, FPN and RoI head on copied-and-pasted boxes.

``composite`` and ``transforms`` make the images, ``dataset`` finds them; ``model`` is the method, made of
``encoder``, ``box_augmentation``, ``key_queue`` and ``shuffle``; ``export`` names what detectors take over.
"""

from aligndet.image_domain.methods.insloc.dataset import CompositeFolder
from aligndet.image_domain.methods.insloc.export import METHOD
from aligndet.image_domain.methods.insloc.model import InsLoc
from aligndet.image_domain.methods.insloc.transforms import CopyAndPaste

__all__ = ["METHOD", "CompositeFolder", "CopyAndPaste", "InsLoc"]
