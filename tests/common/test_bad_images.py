"""How many images may be bad, who hears of it, and when a run ends."""

import os
import subprocess
import sys

import pytest

from aligndet.common.errors import InputError
from aligndet.common.images.bad import BadImages, TooManyBadError, limited_to, max_bad, most_bad


@pytest.mark.parametrize(
    ("images", "percent", "most"),
    [(48, 1, 1), (100, 1, 1), (101, 1, 2), (118_000, 1, 1180), (700, 7, 49), (48, 0, 0), (48, 100, 48)],
)
def test_the_share_is_rounded_up_and_nothing_is_nothing(images: int, percent: float, most: int) -> None:
    assert most_bad(images, percent) == most


def test_each_is_told_with_the_count_and_one_too_many_ends_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = BadImages(150, 1.0)
    for name in ("a.jpg", "b.jpg"):
        bad.add(name, "no such file")
    bad.refuse_many("the same command goes on")
    bad.add("c.jpg", "file is empty")
    with pytest.raises(TooManyBadError, match=r"3 of 150 images are bad, more than 1 %, such as a.jpg \(no"):
        bad.refuse_many("the same command goes on")
    told = capsys.readouterr().err.splitlines()
    assert told[0] == (
        "warning: a.jpg: no such file; another image takes its place (1 of 150 so far, at most 2)"
    )
    assert [line.split()[1] for line in told] == ["a.jpg:", "b.jpg:", "c.jpg:"]


def test_processes_that_are_started_have_the_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALIGNDET_MAX_BAD", raising=False)
    code = "from aligndet.common.images.bad import max_bad; print(max_bad())"
    with limited_to(2.5):
        out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        with limited_to(None):
            assert max_bad() == 2.5
    assert out.strip() == "2.5"
    assert max_bad() == 1.0
    assert "ALIGNDET_MAX_BAD" not in os.environ


@pytest.mark.parametrize("text", ["many", "-1", "101", "nan"])
def test_a_limit_that_is_no_share_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIGNDET_MAX_BAD", text)
    with pytest.raises(InputError, match=r"--max-bad .*: expected a number from 0 to 100"):
        max_bad()
