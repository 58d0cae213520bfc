"""The order of a loader's images by position: a run goes on in it without a look at what it has seen.

MosaicML's streaming does it so: seed, epoch and place are all that the order knows. Here it holds for any
batch sampler: it is advanced by indices alone, and every index takes along the seed of its place, under which
the data set makes the item, in whichever process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from mmengine.dist import get_rank, get_world_size

from aligndet.training.seeding import drawn_apart, seed_item, seed_of

#: Samplers whose order in an epoch is that of its number alone: earlier epochs need not be gone through.
OF_THEIR_EPOCH = {
    "torch.utils.data.sampler.SequentialSampler",
    "mmengine.dataset.sampler.DefaultSampler",
    "mmdet.datasets.samplers.class_aware_sampler.ClassAwareSampler",
    "mmdet.datasets.samplers.track_img_sampler.TrackImgSampler",
    "mmpretrain.datasets.samplers.repeat_aug.RepeatAugSampler",
    "mmpretrain.datasets.samplers.sequential.SequentialSampler",
}
#: Samplers with generators of their own; all others may draw from the global ones.
OF_THEIR_OWN = {"mmengine.dataset.sampler.InfiniteSampler", *OF_THEIR_EPOCH}
ASPECT_RATIO = "mmdet.datasets.samplers.batch_sampler.AspectRatioBatchSampler"
#: Batch samplers that keep nothing from one epoch for the next.
FORGETFUL = {"torch.utils.data.sampler.BatchSampler", ASPECT_RATIO}


class Placed(NamedTuple):
    """An index of a data set, and the seed under which its item is made."""

    index: Any
    seed: int


def extend(thing: Any, **methods: Any) -> None:
    """Give an object a class of its own; its methods call those of the class it had, ``plain_class``."""
    kind = type(thing)
    about = {"__module__": kind.__module__, "__doc__": kind.__doc__, "plain_class": kind}
    thing.__class__ = type(kind.__name__, (kind,), {**about, **methods})


def seeded_items(dataset: Any) -> Any:
    """Give a data set whose items, asked for by a :class:`Placed` index, are made under its seed."""
    if not hasattr(type(dataset), "plain_class"):
        # without __getitems__ torch asks for one item after the other
        extend(dataset, __getitem__=_seeded_item, __getitems__=None, __reduce_ex__=_as_plain)
    return dataset


def _seeded_item(self: Any, index: Any) -> Any:
    if isinstance(index, Placed):
        seed_item(index.seed)
        index = index.index
    return self.plain_class.__getitem__(self, index)


def _as_plain(self: Any, protocol: Any) -> Any:
    """Pickle: a worker that is spawned knows the data set's own class only."""
    plain = self.plain_class.__new__(self.plain_class)
    plain.__dict__.update(self.__dict__)
    return seeded_items, (plain,)


class Order:
    """Where in the order of its images a loader goes on.

    Args:
        sampler: a batch sampler, which from now on gives :class:`Placed` indices.
        seed: of the run.

    Attributes:
        epoch, done: the next iteration begins behind so many batches of this epoch; the one after it at the
            beginning of one.
        endless: the next iteration goes through epoch after epoch, and ``done`` counts the batches of all.
    """

    def __init__(self, sampler: Any, seed: int) -> None:
        self.sampler, self.seed = sampler, seed
        self.epoch, self.done, self.endless = 0, 0, False
        self._passes = 0  # passes that the sampler has begun
        inner = _name(getattr(sampler, "sampler", None))
        self._of_epoch = inner in OF_THEIR_EPOCH and _name(sampler) in FORGETFUL
        self._of_own = inner in OF_THEIR_OWN and _name(sampler) in FORGETFUL
        self._asks_sizes = _name(sampler) == ASPECT_RATIO
        extend(sampler, __iter__=lambda _: self.batches())

    def batches(self) -> Iterator[list[Placed]]:
        """Give the batches of an iteration.

        The position counts with the first batch: torch begins twice where it starts workers.
        """
        epoch, done, endless = self.epoch, self.done, self.endless
        self.done, self.endless = 0, False
        yield from self._endless(done) if endless else self._epoch(epoch, done)

    def _epoch(self, epoch: int, done: int) -> Iterator[list[Placed]]:
        if not self._of_epoch:
            for earlier in range(self._passes, epoch):
                self._set_epoch(earlier)
                self._skip(self._draw(earlier), None)
            if self._passes < epoch:
                self._set_epoch(epoch)
        self._passes = epoch + 1
        draw = self._draw(epoch)
        _, items = self._skip(draw, done)
        yield from self._place(draw, epoch, items)

    def _endless(self, done: int) -> Iterator[list[Placed]]:
        for epoch in range(self._passes, 2**63):
            self._passes = epoch + 1
            self._set_epoch(epoch)
            draw = self._draw(epoch)
            skipped, items = self._skip(draw, done)
            done -= skipped
            empty = skipped == 0
            for batch in self._place(draw, epoch, items):
                empty = False
                yield batch
            if empty:
                return

    def _draw(self, epoch: int) -> Iterator[list[Any]]:
        """The batches of an epoch as indices."""
        drawn: Iterator[list[Any]] = self.sampler.plain_class.__iter__(self.sampler)
        return drawn if self._of_own else drawn_apart(drawn, seed_of(self.seed, "order", epoch))

    def _skip(self, draw: Iterator[list[Any]], most: int | None) -> tuple[int, int]:
        """Pass over batches, at most so many; count batches and items."""
        batches = items = 0
        if most == 0:
            return 0, 0
        with self._remembered():
            for batch in draw:
                batches, items = batches + 1, items + len(batch)
                if batches == most:
                    break
        return batches, items

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        """Let a sampler that asks for an image's size, time and again, hear it from memory."""
        if not self._asks_sizes:
            yield
            return
        dataset = self.sampler.sampler.dataset
        self.sampler.sampler.dataset = _Sizes(dataset)
        try:
            yield
        finally:
            self.sampler.sampler.dataset = dataset

    def _place(self, draw: Iterator[list[Any]], epoch: int, items: int) -> Iterator[list[Placed]]:
        """Give indices the seeds of their places, which are counted over all processes' items."""
        rank, world = get_rank(), get_world_size()
        for batch in draw:
            places = range(items * world + rank, (items + len(batch)) * world + rank, world)
            items += len(batch)
            yield [
                Placed(index, seed_of(self.seed, "item", epoch, place, str(index)))
                for place, index in zip(places, batch, strict=True)
            ]

    def _set_epoch(self, epoch: int) -> None:
        set_epoch = getattr(getattr(self.sampler, "sampler", None), "set_epoch", None)
        if set_epoch:
            set_epoch(epoch)


class _Sizes:
    """A data set that tells the sizes of its images again without reading its entries again."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._told: dict[Any, tuple[int, int]] = {}

    def get_data_info(self, index: Any) -> dict[str, int]:
        if index not in self._told:
            info = self._dataset.get_data_info(index)
            self._told[index] = info["width"], info["height"]
        return dict(zip(("width", "height"), self._told[index], strict=True))

    def __len__(self) -> int:
        return len(self._dataset)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)


def _name(thing: Any) -> str:
    kind = type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"
