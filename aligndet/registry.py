"""Registries of scope ``aligndet``: children of mmengine's roots.

``type='aligndet.X'`` in any mmdet config finds X without ``custom_imports``, because mmengine imports
``<scope>.registry`` by itself and these registries import their locations when first asked.
"""

from mmengine import registry as root

MODELS = root.Registry(
    "model",
    parent=root.MODELS,
    scope="aligndet",
    locations=["aligndet.box_domain", "aligndet.image_domain.methods.insloc"],
)
HOOKS = root.Registry(
    "hook",
    parent=root.HOOKS,
    scope="aligndet",
    locations=["aligndet.box_domain", "aligndet.image_domain.methods.insloc"],
)
TRANSFORMS = root.Registry(
    "transform",
    parent=root.TRANSFORMS,
    scope="aligndet",
    locations=["aligndet.box_domain", "aligndet.image_domain.methods.insloc"],
)
DATASETS = root.Registry(
    "dataset",
    parent=root.DATASETS,
    scope="aligndet",
    locations=["aligndet.box_domain", "aligndet.image_domain.folder", "aligndet.image_domain.methods.insloc"],
)
