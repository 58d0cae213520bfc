"""Bad images in a training: replaced where they are read, counted and told here, and its end where many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import all_reduce, get_world_size, is_main_process
from mmengine.hooks import Hook

from aligndet.common.images.bad import INSTEAD, BadImages, TooManyBadError, max_bad
from aligndet.common.images.replaced import BLACK, Replaced, name_of
from aligndet.training.agree import Agreement


def _replacing(dataset: Any) -> Any:
    """Give a data set of mmengine a class of its own, in which another image takes the place of a bad one."""
    kind = type(dataset)
    about = {"__module__": kind.__module__, "__doc__": kind.__doc__, "class_of_bad_images": kind}
    methods = {"prepare_data": _prepare_data, "__reduce_ex__": _as_plain}
    dataset.__class__ = type(kind.__name__, (kind,), {**about, **methods})
    return dataset


def _prepare_data(self: Any, idx: int) -> Any:
    kind = self.class_of_bad_images
    return self.bad_images.prepared(self, idx, lambda number: kind.prepare_data(self, number))


def _as_plain(self: Any, protocol: Any) -> Any:
    """Pickle: a worker that is spawned knows the data set's own class only."""
    plain = self.class_of_bad_images.__new__(self.class_of_bad_images)
    plain.__dict__.update(self.__dict__)
    return _replacing, (plain,)


def replace_bad_images(dataset: Any) -> None:
    """Have bad images replaced in a data set, or in those that it wraps, and marked by worker processes.

    Data sets that are none of mmengine's are left as they are.
    """
    for leaf in leaves(dataset):
        if not isinstance(getattr(leaf, "bad_images", None), Replaced):
            leaf.bad_images = Replaced()
            _replacing(leaf)
        leaf.bad_images.share(leaf)


def leaves(dataset: Any) -> Iterator[Any]:
    """The data sets of mmengine that hold images themselves."""
    if isinstance(dataset, BaseDataset):
        yield dataset
        return
    for one in getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]:
        if one is not None and one is not dataset:
            yield from leaves(one)


class Watch:
    """Tells what the processes of a loader have found to be bad.

    Args:
        dataset: of the loader, after :func:`replace_bad_images`.
        instead: what is done with a bad image.
    """

    def __init__(self, dataset: Any, instead: str = INSTEAD) -> None:
        self.leaves = list({id(leaf): leaf for leaf in leaves(dataset)}.values())
        self.known = [torch.zeros(len(leaf), dtype=torch.bool) for leaf in self.leaves]
        self.found = BadImages(sum(map(len, self.known)), max_bad(), instead)
        self._agreement = Agreement()

    def look(self) -> BadImages:
        """Count and tell the new ones; the processes of a launch do so together."""
        fresh = [
            leaf.bad_images.marks(leaf) & ~known for leaf, known in zip(self.leaves, self.known, strict=True)
        ]
        if not self._agreement.largest(sum(int(marks.count_nonzero()) for marks in fresh)):
            return self.found
        for leaf, known, marks in zip(self.leaves, self.known, fresh, strict=True):
            everywhere = marks.to(torch.uint8)
            all_reduce(everywhere, op="max")
            for idx in everywhere.nonzero().flatten().tolist():
                leaf.bad_images.marks(leaf)[idx] = known[idx] = True
                aloud = is_main_process()
                self.found.add(name_of(leaf, idx), leaf.bad_images.reason(leaf, idx) if aloud else "", aloud)
        return self.found


class BadImagesHook(Hook):
    """Tells of bad images after each step, and ends the run, its state saved, where they are too many.

    A run whose steps are all done comes to its end.

    Args:
        save: writes a checkpoint, of so many epochs and steps, and gives its name.
    """

    priority = "LOWEST"

    def __init__(self, save: Callable[[int, int], str]) -> None:
        self.save = save
        self._trained: Watch | None = None
        self._tested: Watch | None = None

    def before_train(self, runner: Any) -> None:
        """Begin to watch."""
        self._trained = Watch(runner.train_dataloader.dataset)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Look at what was found; behind an epoch's last step, what belongs to the epoch's end comes first.

        Raises:
            TooManyBadError: on every process alike.
        """
        assert self._trained is not None
        if (found := self._trained.look()).count:
            runner.message_hub.update_scalar("train/bad_images", found.count)
        loop = runner.train_loop
        if runner.iter + 1 < runner.max_iters and not (
            _by_epoch(loop) and batch_idx + 1 == len(loop.dataloader)
        ):
            self._end_where_many(found, runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner: Any, metrics: Any = None) -> None:
        """End behind an epoch that is not the last.

        Raises:
            TooManyBadError: on every process alike.
        """
        assert self._trained is not None
        if _by_epoch(runner.train_loop) and runner.epoch + 1 < runner.max_epochs:
            self._end_where_many(self._trained.found, runner.epoch + 1, runner.iter)

    def _end_where_many(self, found: BadImages, epochs: int, steps: int) -> None:
        if found.too_many:
            found.refuse_many(f"the run goes on from {self.save(epochs, steps)}")

    def after_val(self, runner: Any) -> None:
        """Look at the images of the validation.

        Raises:
            TooManyBadError: on every process alike.
        """
        if self._tested is None:
            self._tested = Watch(runner.val_dataloader.dataset, BLACK)
        self._tested.look().refuse_many("the run goes on from its last checkpoint")

    @contextmanager
    def until_none_is_left(self, runner: Any) -> Iterator[None]:
        """Train, and where a loader finds no image at all, save what was done until then.

        Raises:
            TooManyBadError: in words of the run.
        """
        try:
            yield
        except TooManyBadError:
            if self._trained is None or self._trained.found.too_many or get_world_size() > 1:
                raise  # told; or other processes wait in their steps, and none can save
            found = self._trained.look()
            saved = self.save(runner.epoch, runner.iter) if runner.iter else ""
            left = f"the run goes on from {saved}" if saved else "no step was made"
            raise TooManyBadError(found.many(left)) from None


def _by_epoch(loop: Any) -> bool:
    return hasattr(loop, "run_epoch")
