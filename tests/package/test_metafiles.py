"""What mim and mmengine's hub read about the configs: an index of metafiles, an entry for each config."""

from pathlib import Path

import pytest
import yaml
from mmengine.config.utils import _get_cfg_metainfo

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "aligndet"
INDEX = yaml.safe_load((PACKAGE / ".mim" / "model-index.yml").read_text(encoding="utf-8"))["Import"]


def test_the_index_names_the_folders_of_configs() -> None:
    folders = {path.parent.name for path in (PACKAGE / "configs").glob("*/*.py")} - {"_base_"}
    assert {Path(name).parts[1] for name in INDEX} >= {"box_domain", "finetune", "image_domain"}
    assert {Path(name).parts[1] for name in INDEX} <= folders


@pytest.mark.parametrize("name", INDEX)
def test_each_config_has_its_entry(name: str) -> None:
    meta = yaml.safe_load((PACKAGE / ".mim" / name).read_text(encoding="utf-8"))
    (collection,) = (entry["Name"] for entry in meta["Collections"])
    assert {entry["In Collection"] for entry in meta["Models"]} == {collection}
    listed = [entry["Config"] for entry in meta["Models"]]
    folder = Path(name).parent
    assert listed == sorted(f"{folder}/{path.name}" for path in (PACKAGE / folder).glob("*.py"))
    assert [entry["Name"] for entry in meta["Models"]] == [
        f"{folder.name}/{Path(config).stem}" for config in listed
    ]


def test_mmengine_finds_the_entry_of_a_config() -> None:
    entry = _get_cfg_metainfo(str(PACKAGE), "box_domain/detr_r50_50e_coco.py")
    assert entry["Config"] == "configs/box_domain/detr_r50_50e_coco.py"


@pytest.mark.skipif(not (ROOT / "configs").is_symlink(), reason="a source distribution has copies")
def test_links_keep_one_copy_of_each_file() -> None:
    assert (ROOT / "configs").samefile(PACKAGE / "configs")
    assert (PACKAGE / ".mim" / "configs").samefile(PACKAGE / "configs")
    assert (PACKAGE / ".mim" / "tools").samefile(ROOT / "tools")
    assert (ROOT / "model-index.yml").samefile(PACKAGE / ".mim" / "model-index.yml")
