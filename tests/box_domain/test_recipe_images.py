"""Images reach the model as the user's config reads and sizes them, whatever its transforms are called."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import Resize
from mmengine.config import Config
from mmengine.registry import DATASETS, TRANSFORMS

from aligndet.box_domain.recipe import pretraining_config
from aligndet.common.errors import InputError
from tests.box_domain.project import BOXES, FLIP, LOAD, PACK, RESIZE, project, types, view, wrap


class Fits(BaseTransform):
    """Keeps the ratio and has no argument for it; hands on to mmdet's."""

    def __init__(self, side: int) -> None:
        self.inner = Resize(scale=(side, side), keep_ratio=True)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        return self.inner(results)


@TRANSFORMS.register_module()
class KeepingResize(Resize):
    """Keeps the ratio whatever is asked."""

    def __init__(self, scale: tuple[int, int]) -> None:
        super().__init__(scale=scale, keep_ratio=True)


@TRANSFORMS.register_module()
class Letter(BaseTransform):
    """Fits an image into a square and pads it, by cv2 alone."""

    def __init__(self, side: int, pad_val: int = 9) -> None:
        self.side, self.pad_val = side, pad_val

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = results["img"]
        factor = self.side / max(image.shape[:2])
        image = cv2.resize(image, None, fx=factor, fy=factor)
        below, right = self.side - image.shape[0], self.side - image.shape[1]
        results["img"] = cv2.copyMakeBorder(
            image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=[self.pad_val] * 3
        )
        return results


@TRANSFORMS.register_module()
class ShortSide(BaseTransform):
    """The shorter side becomes so many pixels, however long the other gets."""

    def __init__(self, side: int) -> None:
        self.side = side

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        factor = self.side / min(results["img"].shape[:2])
        results["img"] = cv2.resize(results["img"], None, fx=factor, fy=factor)
        return results


@TRANSFORMS.register_module()
class NeedsMore(BaseTransform):
    """Cannot run on an image alone."""

    def __init__(self, scale: tuple[int, int]) -> None:
        self.scale = scale

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("camera")


TRANSFORMS.register_module(name="RatioResize", module=NeedsMore)

LARGE: dict[str, tuple[Any, ...]] = {  # steps of a test -> type, largest scale, ratio kept
    "stock": ([RESIZE], (128, 96), True),
    "stock, ratio not kept": ([{"type": "Resize", "scale": (128, 96)}], (128, 96), False),
    "class": ([{"type": Fits, "side": 100}], (100, 100), True),
    "sub-class without keep_ratio": ([{"type": "KeepingResize", "scale": (120, 90)}], (120, 90), True),
    "fits and pads": ([{"type": "Letter", "side": 100}], (100, 100), True),
    "after each other": (
        [{"type": "Resize", "scale": (64, 64), "keep_ratio": True}, RESIZE],
        (128, 96),
        True,
    ),
    "one that cannot run": ([{"type": "RatioResize", "scale": (130, 90)}], (130, 90), True),
    "drawn at random": (
        [{"type": "RandomChoiceResize", "scales": [(64, 48), (128, 96)], "keep_ratio": True}],
        (128, 96),
        True,
    ),
    "inside of another": ([{"type": "TestTimeAug", "transforms": [[RESIZE]]}], (128, 96), True),
    "with a crop": ([RESIZE, {"type": "CenterCrop", "crop_size": 9}], (128, 96), True),
}


@pytest.mark.parametrize("name", LARGE)
def test_views_are_as_large_as_the_test_makes_images_and_of_the_same_ratio(name: str, tmp_path: Path) -> None:
    """Kind: a resize of the project's own, which keeps the ratio without an argument that says so."""
    steps, largest, keeps_ratio = LARGE[name]
    config, _ = wrap(tmp_path, project(test=[LOAD, *steps, BOXES, PACK]))
    for branch in ("online", "momentum"):
        resize = view(config, branch)[0]
        assert resize["keep_ratio"] is keeps_ratio
        scales = [tuple(scale) for scale in resize.get("scales") or [resize["scale"]]]
        assert scales[-1] == largest
        assert all(scale[0] <= largest[0] and scale[1] <= largest[1] for scale in scales)


def test_a_bound_on_the_shorter_side_alone(tmp_path: Path) -> None:
    config, _ = wrap(tmp_path, project(test=[LOAD, {"type": "ShortSide", "side": 100}, PACK]))
    long, short = view(config)[0]["scales"][-1]
    assert (short, long >= 800) == (100, True)


@pytest.mark.parametrize("missing", ["test_dataloader", "val_dataloader and test_dataloader"])
def test_the_size_without_a_test(missing: str, tmp_path: Path) -> None:
    content = project(train=[LOAD, BOXES, {**RESIZE, "scale": (64, 48)}, PACK])
    for key in missing.split(" and "):
        del content[key]
    config, _ = wrap(tmp_path, content)
    assert tuple(view(config)[0]["scales"][-1]) == ((64, 48) if "val" in missing else (128, 96))


@pytest.mark.parametrize(
    ("step", "padding"),
    [
        ({"type": "Pad", "size": (160, 160), "pad_val": {"img": (1, 2, 3)}}, {"size": (160, 160)}),
        ({"type": "Pad", "size_divisor": 32}, {"size_divisor": 32}),
        ({"type": "Letter", "side": 160, "pad_val": 9}, {"size": (160, 160), "pad_val": 9}),
    ],
)
def test_views_are_padded_as_the_test_pads_where_the_preprocessor_does_not(
    step: dict[str, Any], padding: dict[str, Any], tmp_path: Path
) -> None:
    """Kind: a neck that wants sides of a multiple of 32, which only the test's pipeline provides (RTMDet)."""
    content = project(test=[LOAD, {**RESIZE, "scale": (160, 160)}, step, PACK])
    config, _ = wrap(tmp_path, content)
    assert "Pad" not in types(view(config)), "the preprocessor pads by itself"
    content["model"].data_preprocessor.pad_size_divisor = 1
    config, _ = wrap(tmp_path, content)
    pad, pack = view(config)[-2:]
    assert (pad["type"], pack["type"]) == ("mmdet.Pad", "aligndet.PackView")
    assert {key: pad[key] for key in padding} == padding


@TRANSFORMS.register_module()
class Bands(BaseTransform):
    """Reads an image of so many channels."""

    def __init__(self, channels: int, dtype: str = "uint8") -> None:
        self.channels, self.dtype = channels, dtype

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = np.full((64, 64, self.channels), 200, self.dtype)
        return {**results, "img": image, "img_shape": (64, 64), "ori_shape": (64, 64)}


@TRANSFORMS.register_module()
class OneMore(BaseTransform):
    """Puts a channel behind the others."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = results["img"]
        image = image if image.ndim == 3 else image[..., None]
        return {**results, "img": np.dstack([image, image[..., :1]])}


# steps that load -> channels, kind of number, whether colours are changed
LOADERS: dict[str, tuple[Any, ...]] = {
    "colour": ([LOAD], 3, np.uint8, True),
    "grey": ([{**LOAD, "color_type": "grayscale"}], 1, np.uint8, False),
    "floats": ([{**LOAD, "to_float32": True}], 3, np.float32, True),
    "another decoder": ([{**LOAD, "imdecode_backend": "pillow"}], 3, np.uint8, True),
    "four": ([{"type": "Bands", "channels": 4}], 4, np.uint8, False),
    "sixteen": ([{"type": "Bands", "channels": 16}], 16, np.uint8, False),
    "twelve bits": ([{"type": "Bands", "channels": 3, "dtype": "uint16"}], 3, np.uint16, False),
    "a class": ([{"type": Bands, "channels": 2}], 2, np.uint8, False),
    "two steps": ([LOAD, {"type": "OneMore"}], 4, np.uint8, False),
    "arrays": ([{"type": "LoadImageFromNDArray"}], 3, np.uint8, True),
}


@pytest.mark.parametrize("name", LOADERS)
def test_the_loader_is_the_user_s_and_colours_change_where_there_are_colours(
    name: str, tmp_path: Path
) -> None:
    """Kind: other channels, decoders and numbers than those of three bytes; all draws of colour are tried."""
    steps, channels, number, colours = LOADERS[name]
    config, table = wrap(tmp_path, project([*steps, BOXES, RESIZE, FLIP, PACK], [*steps, RESIZE, PACK]))
    for image in (tmp_path / "images").glob("*.jpg"):
        cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    dataset = DATASETS.build(config.train_dataloader.dataset)
    np.random.seed(0)
    for _ in range(20):
        for inputs in dataset[0]["inputs"].values():
            assert (inputs.shape[0], inputs.numpy().dtype) == (channels, number)
    assert ("RandomChoice" in types(view(config)) or "ColourOfFloats" in types(view(config))) is colours
    assert ("colour augmentation of the recipe" in table) is not colours


def test_settings_of_the_loader_stay(tmp_path: Path) -> None:
    load = {**LOAD, "backend_args": {"backend": "local"}, "imdecode_backend": "cv2", "color_type": "color"}
    config, _ = wrap(tmp_path, project([load, BOXES, RESIZE, PACK]))
    assert config.train_dataloader.dataset.pipeline[0] == load


@pytest.mark.parametrize("where", ["before", "behind"])
def test_a_step_of_both_pipelines_that_keeps_the_size_stays_where_it_is(where: str, tmp_path: Path) -> None:
    """Kind: a conversion of pixels by a step of the project's, before or behind the resize."""
    around = [{"type": "OneMore"}, RESIZE] if where == "before" else [RESIZE, {"type": "OneMore"}]
    only_train = {"type": "PhotoMetricDistortion"}
    config, table = wrap(tmp_path, project([LOAD, BOXES, *around, only_train, PACK], [LOAD, *around, PACK]))
    loads = types(config.train_dataloader.dataset.pipeline[:2])
    assert (loads == ["LoadImageFromFile", "OneMore"]) is (where == "before")
    assert ("OneMore" in types(view(config))) is (where == "behind")
    assert table[f"train pipeline: {', '.join(types([BOXES, RESIZE, only_train, PACK]))}"][0] == "replaced"


@TRANSFORMS.register_module()
class Inverted(BaseTransform):
    """Changes values of pixels, and none's place."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        return {**results, "img": 255 - results["img"]}


@TRANSFORMS.register_module()
class Mirrored(BaseTransform):
    """Changes places of pixels, and not the size."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        return {**results, "img": results["img"][:, ::-1]}


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ({"type": "Inverted"}, True),
        ({"type": "mmdet.AutoContrast", "prob": 1.0}, True),
        ({"type": "Normalize", "mean": [1, 2, 3], "std": [4, 5, 6]}, True),
        ({"type": "Mirrored"}, False),
        ({"type": "RandomFlip", "prob": 0.5}, False),
        ({"type": "mmdet.Rotate", "prob": 1.0}, False),
        ({"type": "RatioResize", "scale": (1, 1)}, False),
    ],
)
def test_a_step_that_moves_pixels_is_not_taken_over_without_its_boxes(
    step: dict[str, Any], kept: bool, tmp_path: Path
) -> None:
    """Kind: the same step in both pipelines; one that moves pixels would leave the proposals behind."""
    config, _ = wrap(tmp_path, project([LOAD, step, BOXES, RESIZE, PACK], [LOAD, step, RESIZE, PACK]))
    assert (types([step])[0] in types(config.train_dataloader.dataset.pipeline)) is kept


def test_steps_of_another_library_inside_of_one_are_no_steps(tmp_path: Path) -> None:
    """Kind: Albumentations, whose step holds a list of its own transforms under ``transforms``."""
    albu = {"type": "Albu", "transforms": [{"type": "CLAHE", "p": 1.0}]}
    _, table = wrap(tmp_path, project([LOAD, BOXES, albu, RESIZE, PACK]))
    assert table["train pipeline: LoadAnnotations, Albu, Resize, PackDetInputs"][0] == "replaced"


def test_what_the_detector_is_told_of_an_image_is_packed(tmp_path: Path) -> None:
    """Kind: a head that reads keys of an image beside mmdet's own."""
    config, _ = wrap(tmp_path, project([LOAD, BOXES, RESIZE, {**PACK, "meta_keys": ("img_id", "height")}]))
    dataset = DATASETS.build(config.train_dataloader.dataset)
    for sample in dataset[0]["data_samples"].values():
        assert (sample.metainfo["height"], sample.metainfo["flip"] in (True, False)) == (64, True)


WRAPPED: dict[str, dict[str, Any]] = {
    "mixed": {"type": "MultiImageMixDataset", "pipeline": [{"type": "Mosaic"}, PACK]},
    "repeated": {"type": "RepeatDataset", "times": 3},
    "balanced": {"type": "ClassBalancedDataset", "oversample_thr": 0.1},
    "joined": {"type": "ConcatDataset"},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_the_loader_is_found_in_wrapped_data_sets(name: str, tmp_path: Path) -> None:
    inner = {"type": "CocoDataset", "pipeline": [{**LOAD, "color_type": "grayscale"}, BOXES]}
    both = {"datasets": [inner, inner]} if name == "joined" else {"dataset": inner}
    content = project(train_dataloader={"batch_size": 1, "dataset": {**WRAPPED[name], **both}})
    config, _ = wrap(tmp_path, content)
    assert config.train_dataloader.dataset.pipeline[0]["color_type"] == "grayscale"
    assert config.train_dataloader.dataset.type == "aligndet.ProposalDataset"


def test_a_loader_that_wants_more_than_a_path_is_refused_in_one_line(tmp_path: Path) -> None:
    """Kind: a loader that reads keys of the project's own data set."""
    load = {"type": "LoadMultiChannelImageFromFiles"}
    with pytest.raises(InputError, match=r"LoadMultiChannelImageFromFiles.*cannot read .*0.jpg") as caught:
        wrap(tmp_path, project([load, BOXES, RESIZE, PACK]))
    assert "\n" not in str(caught.value)


def test_a_broken_first_image_is_no_fault_of_the_loader(tmp_path: Path) -> None:
    wrap(tmp_path, project())
    (tmp_path / "images" / "0.jpg").write_bytes(b"broken")
    proposals, images = tmp_path / "proposals.json", str(tmp_path / "images")
    grey = project([{**LOAD, "color_type": "grayscale"}, BOXES, RESIZE, PACK])
    config = pretraining_config(Config(grey), str(proposals), images)
    assert "RandomChoice" not in types(view(config)), "seen on the second"


def test_names_of_mmdet_s_transforms_are_found_in_any_scope(tmp_path: Path) -> None:
    """Kind: a default scope of the project's own, in which mmdet's names mean nothing."""
    config, _ = wrap(tmp_path, project())
    for step in [*config.train_dataloader.dataset.pipeline[1:], *view(config)]:
        assert step["type"].split(".")[0] in ("aligndet", "mmdet", "RandomChoiceResize", "RandomChoice")
    assert view(config)[0]["resize_type"] == "mmdet.Resize"
