"""Clusters give proposals of like appearance the same pseudo-class, for DETR.

The recipe is the authors' (AlignDet issue 13): features of each proposal from a trained backbone, PCA, then
k-means. What they leave open is an option here. The codebook is learnt from a random part of the images, so
that memory does not grow with the data; every other proposal then takes its nearest centre.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch.utils.data import DataLoader

from aligndet.box_domain.pseudo_classes.box_features import ImageFiles
from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.common.images.bad import BadImages, TooManyBadError
from aligndet.common.sealed import read_sealed, write_sealed
from aligndet.proposals.coco import write_coco
from aligndet.proposals.layout import META, OPTIONAL
from aligndet.proposals.looked_at import refuse_names_outside
from aligndet.proposals.store import ProposalStore, is_store
from aligndet.proposals.store_writer import StoreWriter

Extract = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], list[np.ndarray]]
TODO, UNREADABLE = -1, -2


@dataclass(frozen=True)
class ClusterOptions:
    """Says how proposals are clustered.

    ``clusters`` and ``dims`` (of PCA) are the paper's. ``fit_proposals`` is about how many proposals the
    codebook is learnt from. ``batch`` counts images. The state for a resume is written every ``save_every``
    images.
    """

    clusters: int = 256
    dims: int = 256
    seed: int = 0
    fit_proposals: int = 50_000
    batch: int = 1
    workers: int = 2
    save_every: int = 2_000


@dataclass(frozen=True)
class Codebook:
    """Holds PCA and k-means centres: ``mean`` (C,), ``components`` (D, C), ``centres`` (K, D), float32."""

    mean: np.ndarray
    components: np.ndarray
    centres: np.ndarray

    def assign(self, features: np.ndarray) -> np.ndarray:
        """Give (n, C) features the (n,) numbers of their nearest centres."""
        reduced = (features - self.mean) @ self.components.T
        return np.argmin((self.centres**2).sum(1) - 2 * reduced @ self.centres.T, axis=1).astype(np.int32)


def learn_codebook(features: np.ndarray, clusters: int, dims: int, seed: int) -> Codebook:
    """Learn PCA to ``dims`` (at most what the features span), then k-means.

    Args:
        features: (n, C) float32.

    Raises:
        InputError: fewer features than clusters.
    """
    if len(features) < clusters:
        raise InputError(
            f"{clusters} clusters cannot be made from {len(features)} proposals: "
            f"pass --clusters {max(len(features) // 10, 1)} or so, or make more proposals"
        )
    pca = PCA(min(dims, *features.shape), random_state=seed).fit(features)
    means = KMeans(clusters, n_init=3, max_iter=100, random_state=seed).fit(pca.transform(features))
    return Codebook(
        *(part.astype(np.float32) for part in (pca.mean_, pca.components_, means.cluster_centers_))
    )


class ClusterJob:
    """Clusters one proposal file, with a cluster, TODO or UNREADABLE per box in ``ids``.

    Args:
        proposals: a store, or another kind of file as :mod:`aligndet.proposals.formats` reads it.
        images: the folder its file names are relative to.
        extract: images and xywh boxes to features, as :class:`.box_features.BoxFeatures`.
        options: of the clustering.
        max_bad: percent of the images that may be bad.

    Raises:
        InputError: file names lead out of the folder.
    """

    def __init__(
        self,
        proposals: ProposalStore,
        images: Path,
        extract: Extract,
        options: ClusterOptions,
        max_bad: float = 100.0,
    ) -> None:
        refuse_names_outside(proposals, images)
        self.proposals, self.images, self.extract, self.options = proposals, images, extract, options
        self.ids = np.full(proposals.num_boxes, TODO, dtype=np.int32)
        self.codebook: Codebook | None = None
        self.bad = BadImages(int(np.count_nonzero(proposals.counts)), max_bad, "it is skipped")

    def run(self, state: Path | None = None, fingerprint: str = "") -> np.ndarray:
        """Cluster everything, going on from the file ``state`` where there is one, and remove it.

        Raises:
            InputError: fewer readable proposals than clusters.
            TooManyBadError: more images are bad than may be; the work is saved.
        """
        self._load(state, fingerprint)
        if self.codebook is None:
            self._fit()
        try:
            self._assign(state, fingerprint)
        except TooManyBadError:
            if state is not None:
                self._save(state, fingerprint)
            raise
        if state is not None:
            state.unlink(missing_ok=True)
        return self.ids

    def _assign(self, state: Path | None, fingerprint: str) -> None:
        """Give every proposal that has none the cluster of its nearest centre."""
        codebook = self.codebook
        assert codebook is not None
        for done, (image, features) in enumerate(self._features(self._todo(), "clusters"), start=1):
            self.ids[self._rows(image)] = codebook.assign(features)
            if state is not None and done % self.options.save_every == 0:
                self._save(state, fingerprint)

    def _fit(self) -> None:
        """Learn the codebook from randomly chosen images and assign those at once."""
        order = np.random.default_rng(self.options.seed).permutation(self._todo())
        counts = np.cumsum(self.proposals.counts[order])
        chosen = order[: int(np.searchsorted(counts, self.options.fit_proposals)) + 1]
        per_image = list(self._features(chosen, "codebook"))
        parts = [part for _, part in per_image]
        features = np.concatenate(parts) if parts else np.empty((0, 1), np.float32)
        options = self.options
        self.codebook = learn_codebook(features, options.clusters, options.dims, options.seed)
        for image, part in per_image:
            self.ids[self._rows(image)] = self.codebook.assign(part)

    def _rows(self, image: int) -> slice:
        """Return where an image's boxes stand among all."""
        return slice(*self.proposals.offsets[image : image + 2].tolist())

    def _todo(self) -> np.ndarray:
        """List the images that have boxes and none of them done."""
        some = np.flatnonzero(self.proposals.counts)
        return some[self.ids[self.proposals.offsets[some]] == TODO]

    def _features(self, chosen: np.ndarray, label: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield number and (n, C) features of each image that can be read, and mark the others."""
        files = ImageFiles(self.images, FileNames(self.proposals, chosen))
        loader = DataLoader(
            files,
            self.options.batch,
            num_workers=self.options.workers if len(files) > 64 else 0,
            collate_fn=list,
        )
        done = 0
        with Console().stage(label) as progress:
            for batch in loader:
                done += len(batch)
                progress.update(done, len(files))
                for index, image in batch:
                    if isinstance(image, str):
                        self.ids[self._rows(chosen[index])] = UNREADABLE
                        self.bad.add(files.names[index], image)
                self.bad.refuse_many("the same command then goes on")
                readable = [
                    (int(chosen[index]), image) for index, image in batch if not isinstance(image, str)
                ]
                if readable:
                    numbers, images = zip(*readable, strict=True)
                    boxes = [self._boxes(number) for number in numbers]
                    yield from zip(numbers, self.extract(images, boxes), strict=True)

    def _boxes(self, image: int) -> np.ndarray:
        """Return an image's boxes, (n, 4) float64 xywh."""
        boxes = self.proposals.boxes(image).astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        return boxes

    def _save(self, state: Path, fingerprint: str) -> None:
        assert self.codebook is not None
        write_sealed(state, {"fingerprint": fingerprint, "ids": self.ids, **asdict(self.codebook)})

    def _load(self, state: Path | None, fingerprint: str) -> None:
        """Take up a state of the same job, and ignore one of another job, or a damaged one."""
        saved = read_sealed(state) if state else None
        if saved and str(saved["fingerprint"]) == fingerprint and len(saved["ids"]) == len(self.ids):
            self.ids = saved["ids"].copy()
            self.ids[self.ids == UNREADABLE] = TODO  # it may be mended
            self.codebook = Codebook(saved["mean"], saved["components"], saved["centres"])


class FileNames(Sequence[str]):
    """Lists the names of some images of a store, made when asked for."""

    def __init__(self, proposals: ProposalStore, images: np.ndarray) -> None:
        self.proposals, self.images = proposals, images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return self.proposals.file_name(int(self.images[index]))


def write_clusters(proposals: ProposalStore, ids: np.ndarray, info: Mapping[str, Any], out: Path) -> None:
    """Write the proposals with their clusters, in the same order, as a store or COCO json (by `out`'s name).

    In a json, category ``cluster_i`` has id i + 1. Images that could not be read are left out and listed as
    skipped.

    Args:
        proposals: what was clustered.
        ids: (B,) cluster of each box, below 0 for those of an unreadable image.
        info: about the clustering, with ``clusters``, their number.
        out: what to write.
    """
    folder = out.with_name(f"{out.name}.{os.getpid()}.store") if out.suffix == ".json" else out
    try:
        with StoreWriter(folder, {**proposals.info, "clusters": dict(info)}) as writer:
            for row in proposals.skipped():
                writer.skip(row["file_name"], row["reason"])
            for image in range(len(proposals)):
                _append(writer, proposals, image, ids)
        if folder != out:
            write_coco(ProposalStore.open(folder), out)
    finally:
        if folder != out:
            shutil.rmtree(folder, ignore_errors=True)


def _append(writer: StoreWriter, proposals: ProposalStore, image: int, ids: np.ndarray) -> None:
    first, last = proposals.offsets[image : image + 2].tolist()
    name = proposals.file_name(image)
    if last > first and ids[first] < 0:
        writer.skip(name, "cannot be read for clustering")
        return
    optional = {column: proposals.column(column, image) for column in OPTIONAL}
    optional["clusters"] = ids[first:last]
    number = int(proposals.image_ids[image])
    size, boxes = proposals.size(image), proposals.boxes(image)
    writer.append(name, number, size, boxes, proposals.stamp(image), **optional)


def fingerprint_of(path: Path) -> str:
    """Hash a proposal file, or of a store its list of hashes instead of its boxes."""
    return hashlib.sha256((path / META if is_store(path) else path).read_bytes()).hexdigest()
