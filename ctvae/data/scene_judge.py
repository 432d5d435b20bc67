"""Reads the factors of pictures by drawing: the scene whose picture is nearest."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.data.canvas import Renderer
from ctvae.errors import ShapeError
from ctvae.randomness import make_generator

__all__ = ["SceneJudge"]

GALLERY = 4096
"""Scenes drawn once, from the nearest of which the search starts."""
THUMBNAIL = 16
"""The side to which pictures are averaged where they are compared with the gallery."""
SWEEPS = 8
"""Rounds over the factors, at most."""


class SceneJudge:
    """Judges pictures by the scene whose true picture, in the same nuisances, is nearest.

    A world of eight factors has some hundred thousand scenes, too many to draw for every picture.
    The search starts at the nearest of a fixed gallery and takes, factor by factor, the value whose
    picture is nearest, until none is nearer. It reads pictures alone and knows no true factors; on
    true pictures its rate of errors can be measured, and should be stated with what it judges.

    Args:
        renderer: Draws the scenes.
        nuisances: ``(n, nuisances)`` of each judged image.
        num_starts: From how many of the nearest scenes of the gallery to start.

    Raises:
        ShapeError: When the nuisances are not those of the renderer.

    Cost: for each picture about 100 renderings per start.
    """

    def __init__(
        self, renderer: Renderer, nuisances: Float[Tensor, "n nuisances"], *, num_starts: int = 4
    ) -> None:
        if nuisances.ndim != 2 or nuisances.shape[1] != renderer.num_nuisances or num_starts < 1:
            msg = (
                f"a judge needs nuisances (n, {renderer.num_nuisances}) and at least one start, "
                f"got {tuple(nuisances.shape)} and {num_starts}"
            )
            raise ShapeError(msg)
        self.renderer, self.nuisances, self.num_starts = renderer, nuisances, num_starts
        generator = make_generator(0)
        self._scenes = torch.stack(
            [
                torch.randint(size, (GALLERY,), generator=generator)
                for size in renderer.space.cardinalities
            ],
            1,
        )
        middle = torch.full((GALLERY, renderer.num_nuisances), 0.5)
        self._thumbnails = _small(renderer.render(self._scenes, middle))

    def read(
        self, pictures: Float[Tensor, "n 3 height width"], rows: Int[Tensor, " n"]
    ) -> Int[Tensor, "n factors"]:
        """Reads pictures.

        Args:
            pictures: In [0, 1], or uint8.
            rows: The judged image that each picture was made from; its nuisances are used.

        Returns:
            The factors of the nearest scene found.
        """
        wanted = _unit(pictures.cpu())
        near = torch.cdist(_small(pictures.cpu()), self._thumbnails)
        starts = near.topk(self.num_starts, largest=False).indices
        codes = self._scenes[starts].flatten(0, 1)
        again = torch.arange(len(wanted)).repeat_interleave(self.num_starts)
        shown = self.nuisances[rows.cpu()][again]
        distance = self._descend(codes, wanted[again], shown)
        best = distance.reshape(-1, self.num_starts).argmin(1)
        return codes.reshape(len(wanted), self.num_starts, -1)[torch.arange(len(wanted)), best]

    def exists(
        self, factors: Int[Tensor, "n factors"], rows: Int[Tensor, " n"]
    ) -> Bool[Tensor, " n"]:
        """Tells that every combination of factors exists.

        Args:
            factors: Factors.
            rows: The image each belongs to.

        Returns:
            ``(n,)`` of true.
        """
        del rows
        return torch.ones(len(factors), dtype=torch.bool)

    def _descend(self, codes: Tensor, wanted: Tensor, nuisances: Tensor) -> Float[Tensor, " n"]:
        """Moves codes, in place, to where no change of one factor is nearer; gives distances."""
        distance = torch.full((len(codes),), torch.inf)
        active = torch.arange(len(codes))
        for _ in range(SWEEPS):
            before = codes[active].clone()
            for column, size in enumerate(self.renderer.space.cardinalities):
                tried = codes[active].repeat_interleave(size, 0)
                tried[:, column] = torch.arange(size).repeat(len(active))
                drawn = self.renderer.render(tried, nuisances[active].repeat_interleave(size, 0))
                apart = (_unit(drawn).unflatten(0, (-1, size)) - wanted[active, None]).square()
                nearest = apart.flatten(2).sum(2).min(1)
                codes[active, column] = nearest.indices
                distance[active] = nearest.values
            active = active[(codes[active] != before).any(1)]
            if not len(active):
                break
        return distance


def _unit(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def _small(images: Tensor) -> Float[Tensor, "n pixels"]:
    return torch.nn.functional.adaptive_avg_pool2d(_unit(images), THUMBNAIL).flatten(1)
