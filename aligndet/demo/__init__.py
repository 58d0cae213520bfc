"""A generated multi-object data set with boxes: what `make demo` runs on when it is given no images.

Objects of eight classes and many sizes lie on cluttered, textured grounds and partly hide each other. A class
is a shape; its texture and its colours only lean one way, so that none of them alone tells classes apart.
Everything follows from a seed. numpy and OpenCV only.

    shapes, textures -> scene.render_scene -> dataset.write_dataset
"""

from aligndet.synthetic.dataset import SPLITS, split_counts, write_dataset
from aligndet.synthetic.scene import Scene, render_scene
from aligndet.synthetic.shapes import CLASSES

__all__ = ["CLASSES", "SPLITS", "Scene", "render_scene", "split_counts", "write_dataset"]
