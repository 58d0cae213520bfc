"""Registries of scope ``aligndet``: children of mmengine's roots.

``type='aligndet.X'`` in any mmdet config finds X without ``custom_imports``, because mmengine imports
``<scope>.registry`` by itself and these registries import their locations when first asked.
"""

from mmengine import registry as root

#: Methods of the image domain that train more than a backbone; a new one is a module and a line here.
METHODS = ("aligndet.image_domain.methods.insloc", "aligndet.image_domain.methods.soco")

#: Modules that register something.
LOCATIONS = ["aligndet.box_domain", "aligndet.image_domain.folder", *METHODS]

MODELS = root.Registry("model", parent=root.MODELS, scope="aligndet", locations=LOCATIONS)
HOOKS = root.Registry("hook", parent=root.HOOKS, scope="aligndet", locations=LOCATIONS)
TRANSFORMS = root.Registry("transform", parent=root.TRANSFORMS, scope="aligndet", locations=LOCATIONS)
DATASETS = root.Registry("dataset", parent=root.DATASETS, scope="aligndet", locations=LOCATIONS)
OPTIM_WRAPPER_CONSTRUCTORS = root.Registry(
    "optimizer wrapper constructor",
    parent=root.OPTIM_WRAPPER_CONSTRUCTORS,
    scope="aligndet",
    locations=LOCATIONS,
)
