"""The whole search: the same bytes from everywhere, any image, boxes worth having; and the backend `fast`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.proposals.backends import make_backend
from aligndet.proposals.boxes import iou_matrix, recall
from aligndet.proposals.filters import FilterOptions, filter_boxes
from aligndet.proposals.selective import kernel as compiling
from aligndet.proposals.selective.search import (
    COLOR_SPACES,
    MODES,
    SIMILARITIES,
    SearchOptions,
    convert,
    selective_search,
    shrink,
)
from aligndet.proposals.selective.segment import join_components, sort_edges, weigh_edges
from aligndet.synthetic.scene import render_scene

SMALL = SearchOptions(side=96, colors=("lab",), scales=(50.0,))


@pytest.fixture(scope="module")
def scenes() -> list[Any]:
    return [render_scene(160, np.random.default_rng(seed)) for seed in range(8)]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_four_threads_at_once_give_the_bytes_of_one(scenes: list[Any]) -> None:
    images = [scene.image for scene in scenes] * 2
    alone = [selective_search(image, MODES["fast"]) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: selective_search(image, MODES["fast"]), images))
    for one, other in zip(alone, together, strict=True):
        assert one.boxes.tobytes() == other.boxes.tobytes()
        assert one.levels.tobytes() == other.levels.tobytes()


def wakeups(work: Callable[[], object]) -> tuple[int, float]:
    """How often this thread gets to run while another one works, and for how many seconds that works."""
    done = threading.Event()

    def run() -> None:
        work()
        done.set()

    start, count = time.perf_counter(), 0
    threading.Thread(target=run).start()
    while not done.is_set():
        time.sleep(0.002)
        count += 1
    return count, time.perf_counter() - start


def test_kernels_let_other_threads_run() -> None:
    for side in (8, 1000):  # the small one, so that everything is compiled
        weights = weigh_edges(noise(side, side).astype(np.uint16))
        order = sort_edges(weights)
        join_components(weights, order, 20.0, 2)
    count, seconds = wakeups(lambda: join_components(weights, order, 20.0, 2))
    assert seconds > 0.05, "the work must be long enough to be interrupted"
    assert count >= 8, "a call that holds the GIL would let this thread run once"


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(noise(1, 1), id="one pixel"),
        pytest.param(noise(1, 300), id="one row"),
        pytest.param(noise(300, 1), id="one column"),
        pytest.param(noise(2, 3), id="six pixels"),
        pytest.param(np.zeros((50, 60, 3), np.uint8), id="black"),
        pytest.param(np.full((50, 60, 3), 255, np.uint8), id="white"),
        pytest.param(np.repeat(noise(60, 60)[..., :1], 3, axis=2), id="grey noise"),
        pytest.param(noise(90, 96), id="noise"),
        pytest.param(noise(3000, 20), id="long and thin"),
        pytest.param(np.asfortranarray(noise(40, 50)), id="other memory order"),
        pytest.param(noise(80, 80)[::-1, ::2], id="view with strides"),
    ],
)
def test_any_image(image: np.ndarray) -> None:
    before = image.copy()
    found = selective_search(image, replace(SMALL, colors=COLOR_SPACES))
    height, width = image.shape[:2]
    assert found.boxes.dtype == np.float32
    assert len(found.boxes) == len(found.levels) >= 1
    assert (found.boxes[:, :2] >= 0).all()
    assert (found.boxes[:, :2] < found.boxes[:, 2:]).all()
    assert (found.boxes[:, 2:] <= np.array([width, height]) * (1 + 1e-6)).all()
    assert iou_matrix(found.boxes, np.array([[0, 0, width, height]], np.float32)).max() > 0.85
    np.testing.assert_array_equal(image, before)


def test_boxes_are_in_pixels_of_the_image_not_of_the_searched_copy() -> None:
    image = np.full((240, 400, 3), (60, 70, 50), np.uint8)
    truth = np.array([[40, 60, 120, 160], [250, 30, 350, 200]], np.float32)
    for (x1, y1, x2, y2), color in zip(truth.astype(int), ((30, 30, 220), (220, 210, 40)), strict=True):
        image[y1:y2, x1:x2] = color
    for side in (100, 200, 400, 1000):
        found = selective_search(image, replace(SMALL, side=side))
        assert (iou_matrix(truth, found.boxes).max(axis=1) > 0.9).all(), side


def test_copies_are_shrunk_and_never_enlarged() -> None:
    assert shrink(noise(100, 400), 200).shape == (50, 200, 3)
    assert shrink(noise(1000, 2), 100).shape == (100, 1, 3)
    image = noise(30, 40)
    assert shrink(image, 40) is image


def test_options_reach_the_search(scenes: list[Any]) -> None:
    image = scenes[0].image

    def boxes(**change: Any) -> set[tuple[float, ...]]:
        found = selective_search(image, replace(SMALL, side=160, limit=0, **change))
        return {tuple(box) for box in found.boxes.tolist()}

    base = boxes()
    assert len(boxes(min_size=100)) < len(base) < len(boxes(scales=(20.0, 50.0)))
    for change in ({"colors": ("rgi",)}, {"similarities": ("s",)}, {"sigma": 2.0}, {"scales": (300.0,)}):
        assert boxes(**change) != base, change
    assert len(selective_search(image, replace(SMALL, limit=7)).boxes) == 7


def test_color_spaces_and_similarities_all_differ(scenes: list[Any]) -> None:
    image = scenes[0].image
    spaces = [convert(image, name) for name in COLOR_SPACES]
    assert all(space.dtype == np.uint8 and space.flags.c_contiguous for space in spaces)
    assert len({space.tobytes() for space in spaces}) == len(COLOR_SPACES)
    red = np.array([[[0, 0, 200], [0, 0, 100], [0, 0, 0]]], np.uint8)
    assert convert(red, "rgi").tolist() == [[[255, 0, 66], [255, 0, 33], [0, 0, 0]]]
    assert len(set(SIMILARITIES.values())) == len(SIMILARITIES)


def test_levels_tell_first_regions_from_the_whole(scenes: list[Any]) -> None:
    found = selective_search(scenes[0].image, replace(MODES["fast"], limit=0))
    assert found.levels.min() == 0
    assert found.levels.max() == 1000
    areas = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
    assert np.median(areas[found.levels > 900]) > 5 * np.median(areas[found.levels == 0])


def test_recall_on_scenes_is_far_above_that_of_random_boxes(scenes: list[Any]) -> None:
    truths = [scene.boxes for scene in scenes]
    rule = FilterOptions(min_side=16, max_per_image=50)
    results = {}
    for name in ("fast", "random"):
        backend = make_backend(name)
        kept = []
        for number, scene in enumerate(scenes):
            raw = backend(scene.image) if name == "fast" else backend(scene.image, str(number))
            kept.append(filter_boxes(raw[0], raw[1], 160, 160, rule, str(number))[0])
        results[name] = recall(kept, truths)
    assert results["fast"] > 0.6
    assert results["fast"] > results["random"] + 0.25


def test_modes_order_by_number_of_boxes_and_recall(scenes: list[Any]) -> None:
    counts, found = [], []
    for mode in ("single", "fast", "quality"):
        boxes = [make_backend("fast", mode=mode)(scene.image)[0] for scene in scenes[:4]]
        counts.append(sum(map(len, boxes)))
        found.append(recall(boxes, [scene.boxes for scene in scenes[:4]], 0.7))
    assert counts[0] < counts[1] < counts[2]
    assert found[0] <= found[1] <= found[2]


def test_backend_gives_ranks_as_scores_and_levels(scenes: list[Any]) -> None:
    boxes, scores, levels = make_backend("fast", limit=50, side=120)(scenes[0].image)
    assert len(boxes) == len(scores) == len(levels) == 50
    assert scores[0] == 1
    assert (np.diff(scores) < 0).all()
    assert scores[-1] > 0


@pytest.mark.parametrize("options", [{"mode": "slow"}, {"limit": -1}, {"side": -5}])
def test_backend_refuses_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="backend fast, option"):
        make_backend("fast", **options)


def test_without_numba_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("aligndet.proposals.selective")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(InputError, match="pip install 'numba"):
        make_backend("fast")


def test_private_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    folder = compiling.private_folder(tmp_path)
    assert folder is not None
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert compiling.private_folder(tmp_path) == folder


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
def test_private_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    folder = compiling.private_folder(tmp_path)
    assert folder is not None
    folder.chmod(0o777)
    assert compiling.private_folder(tmp_path) is None
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert compiling.private_folder(tmp_path) is None
    assert compiling.private_folder(tmp_path / "absent") is None


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def njit(**options: Any) -> Callable[[Any], Any]:
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiling, "numba", SimpleNamespace(njit=njit))
    monkeypatch.setattr(compiling, "private_folder", lambda parent: None)
    assert compiling.kernel(lambda x: x + 1)(2) == 3
    assert asked == [{"nogil": True, "cache": True}, {"nogil": True}]


def test_read_only_install_caches_in_the_private_folder(tmp_path: Path) -> None:
    """A process for which nothing but the temporary folder can be written still keeps what it compiled."""
    code = """
from numba.core.caching import CacheImpl
# only the folder that the settings name: neither beside the source nor in the home folder
CacheImpl._locator_classes = [c for c in CacheImpl._locator_classes if "UserProvided" in c.__name__]
from aligndet.proposals.selective.segment import find
import numpy as np
assert find(np.array([0, 0, 1], np.int32), 2) == 0
print(find.stats.cache_path, sum(find.stats.cache_misses.values()), sum(find.stats.cache_hits.values()))
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    for expected in ("1 0", "0 1"):
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout.startswith(str(tmp_path))
        assert run.stdout.strip().endswith(expected)
