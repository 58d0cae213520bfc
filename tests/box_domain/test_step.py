"""The promise to a reader: one step runs through pretrainer, adapters, contrast and momentum, and no more."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import torch

import aligndet
from aligndet.box_domain import BoxDomainPretrainer
from tests.small import batch, tiny

HOME = Path(aligndet.__file__).parent


def test_one_step_runs_through_four_places() -> None:
    torch.manual_seed(0)
    model = BoxDomainPretrainer(tiny())
    model.train()
    data = model.data_preprocessor(batch(), True)
    files: set[str] = set()

    def note(frame: FrameType, event: str, arg: Any) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(HOME)):
            files.add(Path(path).relative_to(HOME).as_posix())

    sys.setprofile(note)
    try:
        total, _ = model.parse_losses(model(**data, mode="loss"))
        total.backward()
        model.follow(0.996)
    finally:
        sys.setprofile(None)
    files = {file for file in files if not file.startswith("ops/")}  # mmcv's operators, where not compiled
    adapters = {file for file in files if file.startswith("box_domain/adapters/")}
    names = ("base", "features", "label", "pointer", "projector", "roster", "agreement")
    assert adapters <= {f"box_domain/adapters/{name}.py" for name in names}
    own = ("pretrainer", "detector_errors", "contrast", "momentum", "slots")  # the second is the first's
    assert files - adapters == {f"box_domain/{name}.py" for name in own}
