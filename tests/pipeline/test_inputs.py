"""Text that changes when a config, or what it inherits, or images change."""

from pathlib import Path

import pytest

from aligndet.common.errors import InputError
from aligndet.pipeline.inputs import config_content, images_content
from aligndet.pipeline.stamps import stamps, unchanged


def test_a_config_is_all_that_it_inherits_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.py").write_text("lr = 1")
    (tmp_path / "detector.py").write_text("model = dict(depth=18)")
    (tmp_path / "c.py").write_text(f"_base_ = 'base.py'\nmodel = dict(detector='{tmp_path}/detector.py')")
    seen = {config_content("c.py")}
    (tmp_path / "base.py").write_text("lr = 2")
    seen.add(config_content("c.py"))
    (tmp_path / "detector.py").write_text("model = dict(depth=50)")
    seen.add(config_content("c.py"))
    assert len(seen) == 3
    (tmp_path / "c.py").write_text((tmp_path / "c.py").read_text() + "\n# only a comment")
    assert config_content("c.py") in seen


def test_a_new_style_config_is_what_it_imports(tmp_path: Path) -> None:
    (tmp_path / "_base_").mkdir()
    (tmp_path / "_base_" / "lr.py").write_text("lr = 1")
    (tmp_path / "c.py").write_text("with read_base():\n    from ._base_.lr import *")
    before = config_content(str(tmp_path / "c.py"))
    (tmp_path / "_base_" / "lr.py").write_text("lr = 2")
    assert config_content(str(tmp_path / "c.py")) != before


def test_configs_of_packages_are_followed_to_the_detector() -> None:
    """Through ``{{ fileDirname }}`` of a pre-training config and the bases of the detector's."""
    content = config_content("aligndet::demo/alignment_r18.py")
    for name in ("retinanet_lite0_256px.py", "two_views.py", "demo/retinanet_r18.py", "coco_detection.py"):
        assert name in content


def test_a_config_that_is_not_there_or_no_python(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"typo\.py: no such config"):
        config_content("typo.py")
    (tmp_path / "c.py").write_text("a = (")
    with pytest.raises(InputError, match=r"c\.py is no Python config"):
        config_content(str(tmp_path / "c.py"))


def test_images_are_names_sizes_and_times(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_text("x")
    seen = [images_content(tmp_path, ["1.jpg"])]
    (tmp_path / "1.jpg").write_text("longer")
    seen.append(images_content(tmp_path, ["1.jpg"]))
    (tmp_path / "1.jpg").rename(tmp_path / "2.jpg")
    seen += [images_content(tmp_path, ["2.jpg"]), images_content(tmp_path, ["1.jpg"])]
    assert len(set(seen)) == 4


def test_outputs_are_unchanged_while_their_bytes_are(tmp_path: Path) -> None:
    import os

    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "boxes.npy").write_bytes(b"1234")
    recorded = stamps(tmp_path, ["store"])
    os.utime(tmp_path / "store" / "boxes.npy", (1, 1))
    assert unchanged(tmp_path, recorded)
    (tmp_path / "store" / "boxes.npy").write_bytes(b"4321")
    assert not unchanged(tmp_path, recorded)
    assert not unchanged(tmp_path / "elsewhere", recorded)
