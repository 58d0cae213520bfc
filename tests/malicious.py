"""Files that run code when they are read the usual way: each makes a marker where it does.

Used by the tests of what may run (tests/package/test_files_run_no_code.py).
"""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

#: Name of a module, laid where the commands run, that a checkpoint asks to import.
MODULE = "module_of_a_stranger"


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def checkpoints(folder: Path, marker: Path) -> dict[str, Path]:
    """Write a checkpoint of every kind that could run code; by name."""
    folder.mkdir(parents=True, exist_ok=True)
    code = f"open({str(marker)!r}, 'w')"
    made = {
        "pickle_in_zip": _saved(folder, "pickle_in_zip", {**STATE, "x": Touch(marker)}),
        "pickle_in_optimizer": _saved(folder, "pickle_in_optimizer", {**STATE, "optimizer": Touch(marker)}),
        "object_array": _saved(folder, "object_array", {**STATE, "x": np.array([Touch(marker)], object)}),
        "legacy_stream": _saved(folder, "legacy_stream", {**STATE, "x": Touch(marker)}, legacy=True),
        "bare_pickle": _written(folder, "bare_pickle", pickle.dumps({**NUMPY_STATE, "x": Touch(marker)})),
        "bare_pickle_2": _written(folder, "bare_pickle_2", pickle.dumps(Touch(marker), protocol=2)),
        "legacy_tar": _written(folder, "legacy_tar", _tar(pickle.dumps(Touch(marker), protocol=2))),
        "torchscript": _torchscript(folder / "torchscript.pth", marker),
        "getattr_to_exec": _archive(folder, "getattr_to_exec", _through_rebuild(code)),
        "history_to_exec": _archive(folder, "history_to_exec", _through_history(code)),
    }
    for name, text in config_texts(marker).items():
        made[name] = _saved(
            folder, name, {**STATE, "meta": {"cfg": text, "config": text, "iter": 1, "epoch": 1}}
        )
    (folder / MODULE).mkdir(exist_ok=True)
    (folder / MODULE / "__init__.py").write_text(code)
    (folder / MODULE / "registry.py").write_text(code)
    (folder / MODULE / "hubconf.py").write_text(code)
    return made


WEIGHT = torch.ones(2, 2)
STATE: dict[str, Any] = {
    "state_dict": {"online.backbone.conv1.weight": WEIGHT, "backbone.conv1.weight": WEIGHT, "weight": WEIGHT},
    "message_hub": {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}},
}
NUMPY_STATE: dict[str, Any] = {"state_dict": {"weight": np.ones((2, 2))}}


def config_texts(marker: Path) -> dict[str, str]:
    """Configs, as they stand in a checkpoint, of which reading or building runs code."""
    code = f"open({str(marker)!r}, 'w')"
    insloc = "model = dict(type='aligndet.InsLoc', data_preprocessor=dict(mean=[1.0], std=[1.0]))\n"
    call = f"subprocess.run', args=['touch', {str(marker)!r}]"
    there = marker.parent / MODULE
    imports = "import_modules_from_strings"
    box_domain = "model = dict(type='aligndet.BoxDomainPretrainer', detector=dict(type='ATSS'))"
    built_of = "model = dict(type='aligndet.InsLoc', backbone=dict(type={}))"
    motion = f"dict(type='CameraMotionCompensation', warp_mode={code!r})"
    models = {
        "cfg_type_function": f"dict(type='{call})",
        "cfg_type_of_python": f"dict(type='timeit.timeit', stmt={code!r}, number=1)",
        "cfg_type_of_mmengine": f"dict(type='mmengine.utils.{imports}', imports='{MODULE}')",
        "cfg_type_of_torch": f"dict(type='torch.hub.load', repo_or_dir='{there}', source='local', model='x')",
        "cfg_type_module": f"dict(type='{MODULE}')",
        "cfg_scope": f"dict(type='ResNet', _scope_='{MODULE}')",
        "cfg_scope_in_type": f"dict(type='{MODULE}.ResNet')",
        "cfg_evaluated": f"dict(type='StrongSORT', cmc={motion})",
        "cfg_part": f"dict(type='StrongSORT', detector=dict(type='{call}))",
        "cfg_initialiser": f"dict(type='ResNet', depth=18, init_cfg=dict(type='{call}))",
    }
    texts = {
        "cfg_statement": f"{code}\n{insloc}",
        "cfg_value": f"x = {code}\n{insloc}",
        "cfg_default": f"model = dict(type='aligndet.InsLoc', data_preprocessor=dict(mean={code}))\n",
        "cfg_lambda": f"x = (lambda: {code})()\n{insloc}",
        "cfg_comprehension": f"x = [{code} for i in range(1)]\n{insloc}",
        "cfg_decorator": f"@{code}\ndef f(): pass\n{insloc}",
        "cfg_f_string": f"x = f'{{{code.replace(chr(39), chr(34))}}}'\n{insloc}",
        "cfg_import": f"import {MODULE}\n{built_of.format(f'{MODULE}.x')}",
        "cfg_from_import": f"from {MODULE} import x\n{built_of.format('x')}",
        "cfg_base": f"_base_ = ['{there}/registry.py']\n{insloc}",
        "cfg_custom_imports": f"custom_imports = dict(imports=['{MODULE}'])\n{insloc}",
        "cfg_default_scope": f"default_scope = '{MODULE}'\n{box_domain}",
    }
    texts |= {
        name: f"model = dict(type='aligndet.BoxDomainPretrainer', detector={model})\n"
        for name, model in models.items()
    }
    texts |= {
        f"{name}_of_insloc": f"model = dict(type='aligndet.InsLoc', backbone={model})\n"
        for name, model in models.items()
        if name in ("cfg_type_function", "cfg_scope")
    }
    return texts


def _saved(folder: Path, name: str, content: Any, legacy: bool = False) -> Path:
    path = folder / f"{name}.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def _written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / f"{name}.pth"
    path.write_bytes(data)
    return path


def _archive(folder: Path, name: str, data: bytes) -> Path:
    """An archive as torch.save writes it, around any pickle."""
    path = folder / f"{name}.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in (("data.pkl", data), ("version", b"3\n"), ("byteorder", b"little")):
            archive.writestr(f"archive/{member}", content)
    return path


def _tar(data: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("sys_info", "storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


class _Writing(torch.nn.Module):
    """Makes a file when its program is loaded."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.marker = marker
        self.taken = torch.zeros(1)

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.marker, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.marker = state[0]
        self.training = state[1]
        self.taken = torch.from_file(self.marker, True, 4)

    def forward(self) -> int:
        return 0


def _torchscript(path: Path, marker: Path) -> Path:
    torch.jit.script(_Writing(str(marker))).save(str(path))
    return path


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


GETATTR = b"c__builtin__\ngetattr\n"
HISTORY = b"cmmengine.logging.history_buffer\nHistoryBuffer\n"


def _attribute(owner: bytes, name: str) -> bytes:
    return GETATTR + owner + _text(name) + b"\x86R"


#: ``getattr.__self__`` is the module of Python's own functions.
EXEC = _attribute(_attribute(GETATTR, "__self__"), "exec")


def _through_rebuild(code: str) -> bytes:
    """torch's restricted reader lists a function that calls what it is given."""
    return b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(" + EXEC + GETATTR + _text(code) + b"\x85}tR."


def _through_history(code: str) -> bytes:
    """mmengine's history calls ``update`` of what its state says is its table."""
    new = HISTORY + b")\x81"
    calls = (
        new + b"}(" + _text("update") + EXEC + _text("setdefault") + _attribute(b"}", "setdefault") + b"ub"
    )
    first = b"}(" + _text("_statistics_methods") + calls + b"ub"
    return b"\x80\x02" + new + first + b"}(" + _text("statistics_methods") + _text(code) + b"ub."


def array_with_pointers() -> bytes:
    """An array of numbers whose type says that they are Python objects: bytes of the file become pointers."""
    fields = b"}" + _text("a") + b"cnumpy\ndtype\n" + _text("O8") + b"\x85RK\x00\x86s"
    state = (
        b"(K\x03"
        + _text("<")
        + b"N"
        + _text("a")
        + b"\x85"
        + fields
        + b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    )
    kind = b"cnumpy\ndtype\n(" + _text("f8") + b"\x89\x88tR" + state + b"b"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n)" + _text("b") + b"tR"
    data = b"c_codecs\nencode\n" + _text("A" * 8) + _text("latin1") + b"\x86R"
    return b"\x80\x02}" + _text("a.jpg") + array + b"(K\x01K\x01\x85" + kind + b"\x89" + data + b"tbs."
