"""AlignDet: pre-train whole mmdet detectors on unlabelled images.

    import aligndet
    result = aligndet.pretrain("mmdet::retinanet/retinanet_r50_fpn_1x_coco.py", "photos/", out="runs/photos")

Importing the package is cheap: it loads neither torch nor any OpenMMLab package; the functions load what they
need when they are called. Modules register themselves on demand through the locations in
:mod:`aligndet.registry`. Import hooks are installed: one lets an mmcv without compiled operators run
(:mod:`aligndet.ops.finder`), one makes the configs ``aligndet::…`` known to mmengine
(:mod:`aligndet.common.scope`) and lets it read weights without running code
(:mod:`aligndet.common.loading`).
"""

from aligndet.common import loading as _loading
from aligndet.common import scope as _scope
from aligndet.ops import finder as _finder

TYPE_CHECKING = False  # importing typing would cost more time than this module
if TYPE_CHECKING:
    from aligndet.api import check, compare, export, make_proposals, pretrain
    from aligndet.common.errors import InputError

__version__ = "0.2.0"

__all__ = ["InputError", "__version__", "check", "compare", "export", "make_proposals", "pretrain"]

_finder.install()
_scope.install()
_loading.install()


if not TYPE_CHECKING:  # a type checker then knows which names there are

    def __getattr__(name: str) -> object:
        """Load a function of the Python API when it is first asked for.

        Raises:
            AttributeError: the API has no such name.
        """
        if name.startswith("_") or name not in __all__:
            raise AttributeError(f"module 'aligndet' has no attribute {name!r}")
        import importlib

        module = importlib.import_module("aligndet.common.errors" if name == "InputError" else "aligndet.api")
        value: object = getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
