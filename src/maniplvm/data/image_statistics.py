"""Statistics of images, and how far an image is from those of a data set.

The distance is that of Mahalanobis (1936) over 17 simple statistics. It does not decide whether a
model can answer. It only says that an image does not look like the images of the data set.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maniplvm.config.yaml import read_yaml
from maniplvm.errors import UserError
from maniplvm.files import write_json
from maniplvm.geometry.arrays import FloatArray

SIDE = 160
"""Images are scaled to this width and height first [px]."""
TYPICAL_SHARE = 0.95
"""Share of the fitted images that count as typical."""
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.97)
_FLAT = (0.01, 0.03)
_DARKEST = 2e-3
_RIDGE = 1e-6


@dataclass(frozen=True)
class ImageStatistics:
    """The distribution of `statistics_of` over the images of a data set.

    Attributes:
        mean: `(17,)`.
        precision: `(17, 17)` inverse covariance.
        limit: The distance below which `TYPICAL_SHARE` of the images lie.
        images: The number of images.
    """

    mean: FloatArray
    precision: FloatArray
    limit: float
    images: int

    @classmethod
    def fit(cls, images: Iterable[Image.Image]) -> ImageStatistics:
        """Fit the distribution to decoded RGB images.

        Raises:
            ValueError: fewer than 100 images.
        """
        rows = np.array([statistics_of(image) for image in images])
        if len(rows) < 100:
            raise ValueError(f"statistics of images need at least 100 images, got {len(rows)}")
        covariance = np.cov(rows.T) + _RIDGE * np.eye(rows.shape[1])
        fitted = cls(rows.mean(axis=0), np.linalg.inv(covariance), 0.0, len(rows))
        limit = float(np.quantile([fitted._distance(row) for row in rows], TYPICAL_SHARE))
        return cls(fitted.mean, fitted.precision, limit, len(rows))

    def distance(self, image: Image.Image) -> float:
        """The Mahalanobis distance of a decoded RGB image, at least 0."""
        return self._distance(statistics_of(image))

    def differs(self, image: Image.Image) -> bool:
        """Whether an image is farther than `limit`."""
        return self.distance(image) > self.limit

    def write(self, path: Path) -> None:
        """Write the distribution as JSON."""
        content = {
            "mean": self.mean.tolist(),
            "precision": self.precision.tolist(),
            "limit": self.limit,
            "images": self.images,
        }
        write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> ImageStatistics:
        """Read what `write` wrote.

        Raises:
            UserError: the file is missing or damaged.
        """
        content: dict[str, Any] = read_yaml(path, "image statistics")
        try:
            mean, precision = (np.array(content[key], float) for key in ("mean", "precision"))
            found = cls(mean, precision, float(content["limit"]), int(content["images"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: not the statistics of images ({error!r})") from error
        if precision.shape != (len(mean), len(mean)):
            raise UserError(f"{path}: not the statistics of images (shape {precision.shape})")
        return found

    def _distance(self, row: FloatArray) -> float:
        offset = row - self.mean
        return float(np.sqrt(max(0.0, offset @ self.precision @ offset)))


def statistics_of(image: Image.Image) -> FloatArray:
    """Simple statistics of a decoded RGB image, `(17,)`.

    Mean and standard deviation of each channel and of the saturation, six quantiles of the
    logarithm of the brightness gradient, the share of the gradient that remains at half the
    resolution, and the shares of flat pixels at two limits.
    """
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64) / 255
    brightness = pixels.mean(axis=-1)
    saturation = pixels.max(axis=-1) - pixels.min(axis=-1)
    fine = _gradient(brightness)
    half = SIDE // 2
    coarse = _gradient(brightness.reshape(half, 2, half, 2).mean(axis=(1, 3)))
    return np.array(
        [
            *pixels.mean(axis=(0, 1)),
            *pixels.std(axis=(0, 1)),
            saturation.mean(),
            saturation.std(),
            *np.quantile(np.log(fine + _DARKEST), _QUANTILES),
            np.log(coarse.mean() + _DARKEST) - np.log(fine.mean() + _DARKEST),
            *((fine < limit).mean() for limit in _FLAT),
        ]
    )


def _gradient(values: FloatArray) -> FloatArray:
    down, across = np.gradient(values)
    return np.hypot(across, down)
