"""What a report shows: plain frozen values, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.compare import GraphComparison
from ctvae.metrics import CalibrationCurve

__all__ = [
    "ActionCase",
    "Baseline",
    "Calibration",
    "Confusion",
    "EditGrid",
    "EditRow",
    "Effects",
    "GraphPanel",
    "ReportContent",
    "Tile",
    "WorldStrip",
    "WrongCodes",
]


class Tile(NamedTuple):
    """One figure of the summary.

    Attributes:
        label: What was measured, in a few words.
        value: The figure as text, with its unit.
        note: A few words below it; empty for none.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class EditRow:
    """One slot of one image set to each of its codes, all other slots held.

    Attributes:
        slot: The slot's name.
        codes: A label for each code.
        pictures: ``(codes, channels, height, width)`` in [0, 1], one for each code.
        own: The position of the image's own code.

    Raises:
        ShapeError: When there is not one picture a code, or ``own`` is no code.
    """

    slot: str
    codes: tuple[str, ...]
    pictures: Float[Tensor, "codes channels height width"]
    own: int

    def __post_init__(self) -> None:
        where = f"the edits of slot {self.slot!r}"
        _check_pictures(self.pictures, where)
        if len(self.pictures) != len(self.codes):
            msg = f"{where} hold {len(self.pictures)} pictures for {len(self.codes)} codes"
            raise ShapeError(msg + "; give one picture a code")
        if not 0 <= self.own < len(self.codes):
            msg = (
                f"{where} name code {self.own} as the image's own; have 0 to {len(self.codes) - 1}"
            )
            raise ShapeError(msg)


@dataclass(frozen=True, eq=False)
class EditGrid:
    """What ``edit`` does to one image, slot by slot.

    Attributes:
        source: ``(channels, height, width)`` in [0, 1]: the image.
        rows: One row a slot.

    Raises:
        ShapeError: When ``source`` is no picture.
    """

    source: Float[Tensor, "channels height width"]
    rows: tuple[EditRow, ...]

    def __post_init__(self) -> None:
        _check_pictures(self.source[None], "the source of the edits")


@dataclass(frozen=True, eq=False)
class WorldStrip:
    """Draws of one world; strips drawn with the same noise correspond column by column.

    Attributes:
        title: The world, as ``"observational"`` or ``"do(hue=5)"``.
        pictures: ``(draws, channels, height, width)`` in [0, 1].

    Raises:
        ShapeError: When ``pictures`` are no pictures.
    """

    title: str
    pictures: Float[Tensor, "draws channels height width"]

    def __post_init__(self) -> None:
        _check_pictures(self.pictures, f"the world {self.title!r}")


@dataclass(frozen=True, eq=False)
class Effects:
    """How far setting one slot moves the law of another.

    Attributes:
        slots: The slots' names.
        distances: ``(slots, slots)`` in [0, 1]: total variation between ``P(slot j)`` and
            ``P(slot j | do(slot i))``, averaged over the values of slot ``i`` (the row); NaN on
            the diagonal.

    Raises:
        ShapeError: When the matrix is not square over the slots.
    """

    slots: tuple[str, ...]
    distances: Float[Tensor, "slots slots"]

    def __post_init__(self) -> None:
        _check_square(self.distances, len(self.slots), "the effects", "slots")


class GraphPanel(NamedTuple):
    """One graph of the drawing.

    Attributes:
        name: Its title.
        graph: The graph.
        truth: What its edges are judged by; ``None`` draws them without judging.
    """

    name: str
    graph: CausalGraph
    truth: CausalGraph | None = None


class WrongCodes(NamedTuple):
    """How often one slot's code is wrong.

    Attributes:
        slot: The slot's name.
        share: The share of images whose code is not the one that goes with the true factor.
    """

    slot: str
    share: float


@dataclass(frozen=True, eq=False)
class ActionCase:
    """One pair of images and the actions that the model thinks led from one to the other.

    Attributes:
        before: ``(channels, height, width)`` in [0, 1].
        after: ``(channels, height, width)`` in [0, 1].
        action: The name of the true action.
        answers: Names and posterior probabilities, the likeliest first.
        log_evidence: Log-probability of the pair under all known actions, in nats.

    Raises:
        ShapeError: When one of the two is no picture, or there is no answer.
    """

    before: Float[Tensor, "channels height width"]
    after: Float[Tensor, "channels height width"]
    action: str
    answers: tuple[tuple[str, float], ...]
    log_evidence: float

    def __post_init__(self) -> None:
        where = f"the pair of action {self.action!r}"
        _check_pictures(self.before[None], where)
        _check_pictures(self.after[None], where)
        if not self.answers:
            msg = f"{where} has no answer; give the likeliest actions with their probabilities"
            raise ShapeError(msg)


@dataclass(frozen=True, eq=False)
class Confusion:
    """Which action was taken for which.

    Attributes:
        actions: The actions' names.
        counts: ``(actions, actions)`` pairs; the row is the true action, the column the answer.

    Raises:
        ShapeError: When the matrix is not square over the actions.
    """

    actions: tuple[str, ...]
    counts: Float[Tensor, "actions actions"]

    def __post_init__(self) -> None:
        _check_square(self.counts, len(self.actions), "the confusion", "actions")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Whether the model is right as often as it says.

    Attributes:
        curve: Confidence against accuracy.
        error: The expected calibration error, in [0, 1].
        band: Where that error would lie if the model were perfectly calibrated.
        sentence: What to make of it, in words.
    """

    curve: CalibrationCurve
    error: float
    band: tuple[float, float]
    sentence: str


class Baseline(NamedTuple):
    """How well one method retrieves actions.

    Attributes:
        method: Its name.
        accuracy: Share of pairs whose likeliest action is the true one.
        nll: Mean negative log-probability of the true action, in nats; ``None`` where the method
            gives no probabilities.
    """

    method: str
    accuracy: float
    nll: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportContent:
    """Everything on the page; a part that is ``None`` or empty is left out of it.

    All tensors are on the CPU.

    Attributes:
        title: The page's title.
        subtitle: The data, the seed, the versions.
        command: The command that makes the page again.
        summary: The figures at the top.
        alarms: Named statuses of training with their advice; empty when nothing went wrong.
        originals: ``(n, channels, height, width)`` in [0, 1]: held-out images.
        reconstructions: The same shape: what the decoder makes of their codes.
        wrong_codes: Wrong codes slot by slot.
        edits: One image edited slot by slot.
        worlds: Draws of several worlds under the same noise.
        effects: What interventions move downstream.
        graphs: The graphs to draw side by side.
        comparison: Their scores.
        actions: Pairs with their action posteriors.
        baselines: Retrieval by other methods on the same pairs.
        confusion: Which actions are taken for which.
        calibration: Whether the posteriors' probabilities hold.

    Raises:
        ShapeError: When originals and reconstructions are not pictures of one shape.
    """

    title: str
    subtitle: str = ""
    command: str = ""
    summary: tuple[Tile, ...] = ()
    alarms: tuple[str, ...] = ()
    originals: Float[Tensor, "n channels height width"] | None = None
    reconstructions: Float[Tensor, "n channels height width"] | None = None
    wrong_codes: tuple[WrongCodes, ...] = ()
    edits: EditGrid | None = None
    worlds: tuple[WorldStrip, ...] = ()
    effects: Effects | None = None
    graphs: tuple[GraphPanel, ...] = ()
    comparison: GraphComparison | None = None
    actions: tuple[ActionCase, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    confusion: Confusion | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        shapes = [
            None if pictures is None else tuple(pictures.shape)
            for pictures in (self.originals, self.reconstructions)
        ]
        if shapes[0] != shapes[1]:
            msg = f"originals and reconstructions must have one shape, got {shapes[0]}, {shapes[1]}"
            raise ShapeError(msg)
        if self.originals is not None:
            _check_pictures(self.originals, "the originals")


def _check_pictures(pictures: Tensor, where: str) -> None:
    if pictures.ndim != 4 or pictures.shape[1] not in {1, 3} or not pictures.is_floating_point():
        msg = (
            f"pictures are floats of 1 or 3 channels in [0, 1], got {pictures.dtype} of shape "
            f"{tuple(pictures.shape)} in {where}"
        )
        raise ShapeError(msg)


def _check_square(matrix: Tensor, size: int, where: str, of: str) -> None:
    if tuple(matrix.shape) != (size, size):
        msg = f"{where} need a ({size}, {size}) matrix over the {of}, got {tuple(matrix.shape)}"
        raise ShapeError(msg)
