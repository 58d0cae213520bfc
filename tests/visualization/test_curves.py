"""Logs are read whole, and what is drawn is what was logged."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.visualization.curves import find_scalars, losses, plot_curves, read_curves, read_run, smooth
from tests.command import command

main = command("show curves")


def write_log(folder: Path, values: list[float], run: str = "20260101_000000") -> Path:
    path = folder / run / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    lines = [json.dumps({"step": 10 * i, "loss": v, "loss_contrast": 2 * v}) for i, v in enumerate(values)]
    path.write_text("\n".join(lines) + '\n{"step": 99, "lo')
    return path


def test_curves_hold_steps_and_values(tmp_path: Path) -> None:
    path = write_log(tmp_path, [3.0, 2.0])
    with path.open("r+") as file:
        text = file.read().replace(
            '{"step": 99, "lo', '{"coco/bbox_mAP": 0.5, "step": 30}\n{"lr": 0.1}\n{"st'
        )
        file.seek(0)
        file.write(text)
    curves = read_curves(path)
    assert curves["loss"] == ([0.0, 10.0], [3.0, 2.0])
    assert curves["coco/bbox_mAP"] == ([30.0], [0.5])
    assert "lr" not in curves  # logged without a step


def test_every_session_of_a_resumed_run_is_read_and_the_later_counts(tmp_path: Path) -> None:
    write_log(tmp_path, [3.0, 2.5], "20260101_000000")
    latest = write_log(tmp_path, [9.0, 2.0], "20260102_000000")
    latest.write_text("".join(latest.read_text().splitlines(keepends=True)[1:]))  # it began at step 10
    assert read_run(tmp_path)["loss"] == ([0.0, 10.0], [3.0, 2.0])
    assert find_scalars(latest) == [latest]
    with pytest.raises(InputError, match="logged anything"):
        find_scalars(tmp_path / "none")


def test_smoothing_is_a_trailing_mean_that_passes_over_nan() -> None:
    np.testing.assert_allclose(smooth([1, 3, 5, 7], 2), [1, 2, 4, 6])
    np.testing.assert_allclose(smooth([1, np.nan, 5], 2), [1, 1, 5])


def test_losses_come_first() -> None:
    assert losses({"a": {"lr": ([], []), "loss_b": ([], []), "loss": ([], [])}}) == ["loss", "loss_b"]


def height_of_line(picture: np.ndarray, column: int) -> float:
    """Mean row of matplotlib's first line colour (blue, in BGR b4 77 1f) in a column of pixels."""
    distance = np.abs(picture[:, column].astype(int) - [0xB4, 0x77, 0x1F]).sum(axis=1)
    return float(np.flatnonzero(distance < 60).mean())


def test_a_falling_loss_is_drawn_falling(tmp_path: Path) -> None:
    out = tmp_path / "curves.png"
    plot_curves({"run": {"loss": ([0, 1, 2], [3.0, 2.0, 1.0])}}, ["loss"], out)
    picture = np.asarray(cv2.imread(str(out)))
    columns = picture.shape[1]
    left, right = height_of_line(picture, columns * 3 // 10), height_of_line(picture, columns * 6 // 10)
    assert right - left > 40  # rows count downwards


def test_tool_plots_two_runs_and_prints_their_ends(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first, second = write_log(tmp_path / "a", [3.0, 2.0]), write_log(tmp_path / "b", [4.0, 1.5])
    out = tmp_path / "out.png"
    assert main([first, tmp_path / "b", out]) == 0
    printed = capsys.readouterr().out
    assert "loss 3 -> 2, loss_contrast 6 -> 4" in printed
    assert "loss 4 -> 1.5" in printed
    colours = np.asarray(cv2.imread(str(out))).reshape(-1, 3)
    for line in ([0xB4, 0x77, 0x1F], [0x0E, 0x7F, 0xFF]):
        assert (np.abs(colours.astype(int) - line).sum(axis=1) < 30).sum() > 100
    assert main([second, out, "--keys", "nothing"]) == 2
    assert "logged: loss, loss_contrast" in capsys.readouterr().err
