"""What is looked at after the box domain."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.pipeline.question import make_question
from aligndet.pipeline.stages import evidence


@pytest.mark.parametrize(("max_iters", "images"), [(None, 16), (1, 2), (3, 6), (100, 16)])
def test_a_smoke_run_is_looked_at_briefly(tmp_path: Path, max_iters: int | None, images: int) -> None:
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.zeros((40, 60, 3), np.uint8))
    asked = make_question("mmdet::a.py", tmp_path / "photos", out=tmp_path / "out", max_iters=max_iters)
    assert evidence.plan(asked).request.images == images
