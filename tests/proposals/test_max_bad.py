"""Too many images that cannot be searched end a run, whose parts are kept; then it goes on from them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.cli.main import main
from aligndet.common.images.bad import TooManyBadError
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.runner import make_proposals

GRID = ProposalOptions("grid")


def photos(tmp_path: Path, count: int, broken: int) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03d}.png"), pixels)
    for number in range(0, 2 * broken, 2):
        path = folder / f"{number:03d}.png"
        path.write_bytes(path.read_bytes()[:-100])
    return folder


@pytest.mark.parametrize("workers", [0, 1])
def test_the_run_ends_and_goes_on_with_a_higher_limit_or_mended_images(tmp_path: Path, workers: int) -> None:
    folder, out = photos(tmp_path, 24, 3), tmp_path / "store"
    message = r"2 of 24 images are bad, more than 1 %, such as 000.png \(OpenCV cannot.*--max-bad.*goes on"
    with pytest.raises(TooManyBadError, match=message):
        make_proposals(folder, out, GRID, max_bad=1, progress=False, workers=workers, chunk=4)
    assert not out.exists()
    with pytest.raises(TooManyBadError, match="3 of 24 images are bad"):  # those of earlier parts count
        make_proposals(folder, out, GRID, max_bad=1, progress=False, chunk=4)
    cv2.imwrite(str(folder / "002.png"), np.zeros((48, 64, 3), np.uint8))
    report = make_proposals(folder, out, GRID, max_bad=8, progress=False, chunk=4)
    assert (report.images, report.skips) == (22, 2)
    assert report.searched <= 24


def test_the_command_ends_with_one_line_and_names_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(photos(tmp_path, 12, 2)), str(tmp_path / "store"), "--backend", "grid", "--workers", "0"]
    assert main(["proposals", "make", *words]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("aligndet proposals make: failed: TooManyBadError: 2 of 12 images are bad")
    told = [line for line in said if line.startswith("warning: 00")]
    assert told[0].endswith("; it is skipped (1 of 12 so far, at most 1)")
    assert [line.split()[1] for line in told] == ["000.png:", "002.png:"]
    assert main(["proposals", "make", *words, "--max-bad", "20"]) == 0
    assert main(["proposals", "make", *words[:1], "x", "--max-bad", "200"]) == 2
