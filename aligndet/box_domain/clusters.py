"""Pseudo-classes for DETR: proposals of like appearance get the same class.

The recipe is the authors' (AlignDet issue 13): features of each proposal from a trained backbone, PCA, then
k-means. What they leave open is an option here. The codebook is learnt from a random part of the images, so
that memory does not grow with the data; every other proposal then takes its nearest centre.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch.utils.data import DataLoader
from tqdm import tqdm

from .box_features import ImageFiles

Extract = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], list[np.ndarray]]
TODO, UNREADABLE = -1, -2


@dataclass(frozen=True)
class ClusterOptions:
    """How proposals are clustered.

    ``clusters`` and ``dims`` (of PCA) are the paper's; ``fit_proposals`` is about how many proposals the
    codebook is learnt from; ``batch`` counts images; the state for a resume is written every ``save_every``
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
    """PCA and k-means centres: ``mean`` (C,), ``components`` (D, C), ``centres`` (K, D), float32."""

    mean: np.ndarray
    components: np.ndarray
    centres: np.ndarray

    def assign(self, features: np.ndarray) -> np.ndarray:
        """(n, C) features to the (n,) numbers of their nearest centres."""
        reduced = (features - self.mean) @ self.components.T
        return np.argmin((self.centres**2).sum(1) - 2 * reduced @ self.centres.T, axis=1).astype(np.int32)


def learn_codebook(features: np.ndarray, clusters: int, dims: int, seed: int) -> Codebook:
    """PCA to ``dims`` (at most what the features span), then k-means.

    Args:
        features: (n, C) float32.

    Raises:
        ValueError: fewer features than clusters.
    """
    if len(features) < clusters:
        raise ValueError(
            f"{clusters} clusters cannot be made from {len(features)} proposals: "
            f"pass --clusters {max(len(features) // 10, 1)} or so, or make more proposals"
        )
    pca = PCA(min(dims, *features.shape), random_state=seed).fit(features)
    means = KMeans(clusters, n_init=3, max_iter=100, random_state=seed).fit(pca.transform(features))
    return Codebook(
        *(part.astype(np.float32) for part in (pca.mean_, pca.components_, means.cluster_centers_))
    )


class ClusterJob:
    """Clusters one proposal file; ``ids`` holds a cluster per annotation, or TODO or UNREADABLE.

    Args:
        proposals: a proposal file (COCO json), loaded.
        images: the folder its file names are relative to.
        extract: images and xywh boxes to features, as :class:`.box_features.BoxFeatures`.
        options: see :class:`ClusterOptions`.
    """

    def __init__(
        self, proposals: Mapping[str, Any], images: Path, extract: Extract, options: ClusterOptions
    ) -> None:
        self.proposals, self.images, self.extract, self.options = proposals, images, extract, options
        self.rows: dict[int, list[int]] = {image["id"]: [] for image in proposals["images"]}
        for row, annotation in enumerate(proposals["annotations"]):
            if annotation["image_id"] not in self.rows:
                raise ValueError(
                    f"annotation {annotation['id']} names image {annotation['image_id']}, not listed"
                )
            self.rows[annotation["image_id"]].append(row)
        self.ids = np.full(len(proposals["annotations"]), TODO, dtype=np.int32)
        self.codebook: Codebook | None = None

    def run(self, state: Path | None = None, fingerprint: str = "") -> np.ndarray:
        """Cluster everything; with ``state``, continue from that file and leave it off when done.

        Raises:
            ValueError: fewer readable proposals than clusters.
        """
        self._load(state, fingerprint)
        if self.codebook is None:
            self._fit()
        codebook = self.codebook
        assert codebook is not None
        for done, (rows, features) in enumerate(self._features(self._todo(), "clusters"), start=1):
            self.ids[rows] = codebook.assign(features)
            if state is not None and done % self.options.save_every == 0:
                self._save(state, fingerprint)
        if state is not None:
            state.unlink(missing_ok=True)
        return self.ids

    def _fit(self) -> None:
        """Learn the codebook from randomly chosen images and assign those at once."""
        order = np.random.default_rng(self.options.seed).permutation(self._todo()).tolist()
        counts = np.cumsum([len(self.rows[image]) for image in order])
        chosen = order[: int(np.searchsorted(counts, self.options.fit_proposals)) + 1]
        found = list(self._features(chosen, "codebook"))
        features = np.concatenate([part for _, part in found]) if found else np.empty((0, 1), np.float32)
        options = self.options
        self.codebook = learn_codebook(features, options.clusters, options.dims, options.seed)
        for rows, part in found:
            self.ids[rows] = self.codebook.assign(part)

    def _todo(self) -> list[int]:
        return [image for image, rows in self.rows.items() if rows and self.ids[rows[0]] == TODO]

    def _features(self, image_ids: Sequence[int], label: str) -> Iterator[tuple[list[int], np.ndarray]]:
        """Rows and (n, C) features of each image that can be read; the others are marked."""
        names = {image["id"]: image["file_name"] for image in self.proposals["images"]}
        files = ImageFiles(self.images, [names[image] for image in image_ids])
        loader = DataLoader(
            files,
            self.options.batch,
            num_workers=self.options.workers if len(files) > 64 else 0,
            collate_fn=list,
        )
        with tqdm(total=len(files), desc=label, unit="img", disable=None) as bar:
            for batch in loader:
                bar.update(len(batch))
                for index, image in batch:
                    if image is None:
                        self.ids[self.rows[image_ids[index]]] = UNREADABLE
                readable = [
                    (self.rows[image_ids[index]], image) for index, image in batch if image is not None
                ]
                if readable:
                    rows, images = zip(*readable, strict=True)
                    yield from zip(
                        rows, self.extract(images, [self._boxes(part) for part in rows]), strict=True
                    )

    def _boxes(self, rows: Sequence[int]) -> np.ndarray:
        return np.array([self.proposals["annotations"][row]["bbox"] for row in rows], dtype=np.float64)

    def _save(self, state: Path, fingerprint: str) -> None:
        assert self.codebook is not None
        part = state.with_name(state.name + ".tmp.npz")
        np.savez(part, fingerprint=fingerprint, ids=self.ids, **asdict(self.codebook))
        os.replace(part, state)

    def _load(self, state: Path | None, fingerprint: str) -> None:
        """Take up a state of the same job; one of another job is ignored."""
        if state is None or not state.exists():
            return
        with np.load(state) as saved:
            if str(saved["fingerprint"]) == fingerprint and len(saved["ids"]) == len(self.ids):
                self.ids = saved["ids"]
                self.codebook = Codebook(saved["mean"], saved["components"], saved["centres"])


def with_clusters(proposals: Mapping[str, Any], ids: np.ndarray, info: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the proposal file whose classes are the clusters, in the same order.

    Category ``cluster_i`` has id i + 1. Images that could not be read are left out with their annotations.
    """
    kept = [
        {**annotation, "category_id": int(cluster) + 1}
        for annotation, cluster in zip(proposals["annotations"], ids, strict=True)
        if cluster >= 0
    ]
    lost = {a["image_id"] for a, cluster in zip(proposals["annotations"], ids, strict=True) if cluster < 0}
    return {
        **proposals,
        "info": {**proposals.get("info", {}), "clusters": dict(info)},
        "images": [image for image in proposals["images"] if image["id"] not in lost],
        "annotations": kept,
        "categories": [{"id": i + 1, "name": f"cluster_{i}"} for i in range(int(info["clusters"]))],
    }


def write_json(content: Mapping[str, Any], out: Path) -> None:
    """Write atomically."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    part.write_text(json.dumps(content))
    os.replace(part, out)
