"""What only trying can tell about this machine: operators that load, OpenCV modules, devices."""

import contextlib
import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Operators:
    """State of mmcv's operators.

    Attributes:
        library: path of the compiled library in use; ``None`` for the stand-in.
        error: why importing mmcv's operators failed; empty if it did not.
        lacks_cuda: the library was compiled for the CPU only, while torch sees a GPU.
    """

    library: str | None = None
    error: str = ""
    lacks_cuda: bool = False


def operators() -> Operators:
    """Import mmcv's operators and report what came."""
    from aligndet.ops.finder import has_compiled_operators

    if error := import_error("mmcv.ops"):
        return Operators(error=error)
    if not has_compiled_operators():
        return Operators()
    import torch

    library = str(importlib.import_module("mmcv._ext").__file__)
    ops = importlib.import_module("mmcv.ops")
    without_cuda = str(ops.get_compiling_cuda_version()) == "not available"
    return Operators(library, lacks_cuda=without_cuda and torch.cuda.is_available())


def import_error(module: str) -> str:
    """Why ``module`` cannot be imported; empty if it can."""
    try:
        with _silence():
            importlib.import_module(module)
    except Exception as error:  # a broken library or a version check can raise anything
        return f"{type(error).__name__}: {error}"
    return ""


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep to itself what imports print, such as optional packages that they lack, which is no fault."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def registry_error() -> str:
    """Why this package's own modules cannot be registered; empty if they can."""
    try:
        with _silence():
            models = importlib.import_module("aligndet.registry").MODELS
            missing = models.get("BoxDomainPretrainer") is None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "aligndet.BoxDomainPretrainer is not registered" if missing else ""


def has_ximgproc() -> bool | None:
    """Whether OpenCV has its contrib module ``ximgproc``; ``None`` when cv2 cannot be imported."""
    if import_error("cv2"):
        return None
    return hasattr(importlib.import_module("cv2"), "ximgproc")


def devices() -> str:
    """GPUs that torch can use, or the reason there are none, in words."""
    if error := import_error("torch"):
        return f"unknown ({error})"
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return f"{len(names)} GPU ({', '.join(sorted(set(names)))}), CUDA {torch.version.cuda}"
    built = "this torch is a CPU build" if torch.version.cuda is None else "no usable GPU or driver"
    return f"CPU only, {torch.get_num_threads()} threads ({built})"
