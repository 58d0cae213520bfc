"""No file of weights runs code: malicious files of every kind, given to everything that reads weights."""

from __future__ import annotations

import contextlib
import logging
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

import aligndet
from aligndet.cli.main import main
from aligndet.common.checkpoints import read_checkpoint
from aligndet.common.config_text import config_text
from aligndet.common.errors import InputError
from aligndet.common.trust import files_run_no_code, trusting
from tests import malicious
from tests.small import tiny
from tests.small_coco import make_coco

#: What those who refuse a file, or find nothing in it, may raise.
REFUSED = (InputError, pickle.UnpicklingError, KeyError, RuntimeError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class Place:
    """A folder with malicious files, labels, proposals and configs, which the commands run in."""

    root: Path
    marker: Path
    files: dict[str, Path]

    def config(self, name: str, **changes: Any) -> str:
        """Write a config of a small detector."""
        model = tiny()
        model.update(changes.pop("model", {}))
        path = self.root / f"{name}.py"
        path.write_text(config_text(Config({"model": model, **changes})))
        return str(path)

    def ran(self) -> bool:
        """Whether code of a file ran since this was asked."""
        there = self.marker.exists()
        self.marker.unlink(missing_ok=True)
        for name in [name for name in sys.modules if name.startswith(malicious.MODULE)]:
            del sys.modules[name]
        return there


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("place")
    marker = root / "marker"
    files = malicious.checkpoints(root, marker)
    made = Place(root, marker, files)
    for seed in (0, 1):
        make_coco(root, 4, seed)
    with contextlib.chdir(root), pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging, "raiseExceptions", False)  # mmengine's logger outlives the log of a command
        made.config("detector")
        words = ["proposals", "make", "images", "store", "--backend", "grid", "--workers", "0", "--quiet"]
        assert main(words) == 0
        assert not made.ran()
        yield made


def command(*words: Any) -> Callable[[Place, Path], None]:
    """An entry: a command, in whose words FILE is the malicious one."""

    def run(place: Place, file: Path) -> None:
        status = main([str(file) if word == "FILE" else str(word) for word in words])
        assert status in (0, 2), words

    return run


def whole(place: Place, name: str) -> str:
    """Write a config that trains."""
    dataset = {
        "type": "CocoDataset",
        "ann_file": "0.json",
        "data_prefix": {"img": "images"},
        "metainfo": {"classes": ("red", "green")},
        "pipeline": [
            {"type": "LoadImageFromFile"},
            {"type": "LoadAnnotations", "with_bbox": True},
            {"type": "PackDetInputs"},
        ],
    }
    loader = {"dataset": dataset, "batch_size": 2, "sampler": {"type": "DefaultSampler", "shuffle": False}}
    return place.config(
        name,
        default_scope="mmdet",
        train_dataloader=loader,
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.001}},
    )


def resumed(place: Place, file: Path) -> None:
    if not file.stem.startswith("cfg"):  # what a runner does with a config's text: "mmengine runner"
        work = str(place.root / "resuming")
        main(["train", whole(place, "whole"), "--work-dir", work, "--resume", str(file)])


def train(**changes: Any) -> Callable[[Place, Path], None]:
    """An entry: ``aligndet train`` with a config that names the file."""

    def run(place: Place, file: Path) -> None:
        def named(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: named(item) for key, item in value.items()}
            return str(file) if value == "FILE" else value

        config = place.config("named", **named(changes))
        assert main(["train", config, "--work-dir", str(place.root / "work")]) == 2

    return run


def resumed_from_the_folder(place: Place, file: Path) -> None:
    work = place.root / "resumed"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    shutil.copy(file, work / "iter_1.pth")
    (work / "last_checkpoint").write_text(str(work / "iter_1.pth"))
    if not file.stem.startswith("cfg"):
        assert main(["train", whole(place, "whole"), "--work-dir", str(work), "--resume"]) in (0, 2)
    main(["export", str(work), "out.pth"])


def pipeline_weights(place: Place, file: Path) -> None:
    from aligndet.pipeline.stages.backbone import BackboneRequest, run

    run(BackboneRequest("detector.py", "out.pth", str(file), "", False))


def pipeline_weights_of_the_config(place: Place, file: Path) -> None:
    from aligndet.pipeline.stages.backbone import BackboneRequest, run

    init = {"type": "Pretrained", "checkpoint": str(file)}
    model = tiny()
    config = place.config("starts", model={"backbone": {**model.backbone, "init_cfg": init}})
    run(BackboneRequest(config, "out.pth", "", "", False))


def compared_start(place: Place, file: Path) -> None:
    from aligndet.comparison.starts import fit_start

    fit_start(file, "x", tiny(), place.root)


def mmengine_loader(place: Place, file: Path) -> None:
    from mmengine.runner import load_checkpoint

    load_checkpoint(nn.Linear(2, 2, bias=False), str(file))


def mmengine_url(place: Place, file: Path) -> None:
    from mmengine.runner import checkpoint

    checkpoint.load_url(file.as_uri(), model_dir=str(place.root / "downloads"))


def mmengine_init_cfg(place: Place, file: Path) -> None:
    MODELS.build({"type": "Linear", "in_features": 2, "out_features": 2})
    from mmengine.model import Sequential

    Sequential(nn.Linear(2, 2), init_cfg={"type": "Pretrained", "checkpoint": str(file)}).init_weights()


def mmengine_runner(place: Place, file: Path) -> None:
    """mmengine's own runner resumes; it would run the config's text under ``meta['config']``."""
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Model(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 2))

        def forward(self, inputs: Any, mode: str = "") -> Any:
            return {"loss": self.weight.sum()}

    loader = {"dataset": [0], "sampler": {"type": "DefaultSampler", "shuffle": False}, "batch_size": 1}
    runner = Runner(
        Model(),
        str(place.root / "runner"),
        train_dataloader=loader,
        resume=True,
        load_from=str(file),
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
        log_level="ERROR",
        experiment_name=f"{file.stem}-{id(file)}",
    )
    runner.train()


def mmengine_pickle(place: Place, file: Path) -> None:
    from mmengine.fileio import load

    load(shutil.copy(file, place.root / "copy.pkl"))


def proposals_pickle(place: Place, file: Path) -> None:
    copied = shutil.copy(file, place.root / "copied.pkl")
    shutil.rmtree(place.root / "converted", ignore_errors=True)
    assert main(["proposals", "convert", str(copied), "converted", "--workers", "0"]) == 2


def timm_checkpoint(place: Place, file: Path) -> None:
    timm = pytest.importorskip("timm")
    timm.create_model("test_resnet", checkpoint_path=str(file))


def torch_hub(place: Place, file: Path) -> None:
    torch.hub.load_state_dict_from_url(file.as_uri(), str(place.root / "hub"), weights_only=False)


def torch_load(place: Place, file: Path) -> None:
    torch.load(file, weights_only=False)


def normalisation(place: Place, file: Path) -> None:
    from aligndet.image_domain.normalisation import check_normalisation

    check_normalisation(Config({"model": tiny(), "load_from": str(file)}))


def safetensors_name(place: Place, file: Path) -> None:
    read_checkpoint(Path(shutil.copy(file, place.root / "copy.safetensors")))


LOW = ("--min-side", "8")
LABELS = ("--train", "0.json", "--val", "1.json", "--images", "images")
CLUSTER = ("proposals", "cluster", "store", "clustered", "--images", "images", "--config", "detector.py")
ENTRIES: dict[str, Callable[[Place, Path], None]] = {
    "export": command("export", "FILE", "out.pth"),
    "export for a config": command("export", "FILE", "out.pth", "--config", "detector.py"),
    "backbone convert": command("backbone", "convert", "FILE", "out.pth", "--config", "detector.py"),
    "show features": command("show", "features", "detector.py", *LABELS, *LOW, "--weights", "FILE"),
    "show neighbours": command(
        "show", "neighbours", "FILE", "n.png", "--val", "0.json", "--images", "images"
    ),
    "show matches": command("show", "matches", "detector.py", "m.png", "--weights", "FILE"),
    "proposals cluster": command(*CLUSTER, "--weights", "FILE", "--workers", "0"),
    "train load_from": train(load_from="FILE"),
    "train init_cfg": train(model={"init_cfg": {"type": "Pretrained", "checkpoint": "FILE"}}),
    "train resume": resumed,
    "train resume, export of the folder": resumed_from_the_folder,
    "pipeline --weights": pipeline_weights,
    "pipeline init_cfg": pipeline_weights_of_the_config,
    "compare --start": compared_start,
    "normalisation": normalisation,
    "mmengine load_checkpoint": mmengine_loader,
    "mmengine load_url": mmengine_url,
    "mmengine init_cfg": mmengine_init_cfg,
    "mmengine runner": mmengine_runner,
    "mmengine load, as pickle": mmengine_pickle,
    "proposals convert": proposals_pickle,
    "timm checkpoint_path": timm_checkpoint,
    "torch.hub": torch_hub,
    "torch.load": torch_load,
    "named safetensors": safetensors_name,
}


#: Entries that read a copy under another name.
COPIED = ("train resume, export of the folder", "proposals convert")


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_file_runs_code(entry: str, place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    for name, file in place.files.items():
        with files_run_no_code(), contextlib.suppress(*REFUSED):
            ENTRIES[entry](place, file)
        assert not place.ran(), name
        said = capfd.readouterr().err
        assert "Traceback" not in said, name
        if said.startswith("aligndet ") and not name.startswith("cfg"):
            assert str(file) in said or entry in COPIED, said  # one line that names the file
            assert said.count("\n") <= 2, said


def test_the_files_are_malicious(place: Place) -> None:
    """Each of them makes its marker where it is read as if it could be trusted."""
    from mmengine.runner.checkpoint import get_torch_safe_globals

    from aligndet.scopes import register_mmdet

    register_mmdet()
    for name, file in place.files.items():
        with trusting(), contextlib.suppress(*REFUSED, ImportError, SyntaxError):
            if not name.startswith("cfg"):
                with torch.serialization.safe_globals(get_torch_safe_globals()):
                    torch.load(file, weights_only="to_exec" in name)
            else:
                text = read_checkpoint(file)["meta"]["cfg"]
                config = Config.fromstring(text, ".py")
                with MODELS.switch_scope_and_registry(config.get("default_scope", "mmdet")) as registry:
                    registry.build(config.model.get("detector") or config.model.backbone).init_weights()
        assert place.ran(), name


def test_an_array_whose_numbers_would_be_pointers_is_refused(place: Place) -> None:
    (place.root / "p.pkl").write_bytes(malicious.array_with_pointers())
    with pytest.raises(InputError, match="holds an array with fields"):
        aligndet.make_proposals("images", "from_pickle", backend="file", backend_options={"path": "p.pkl"})
