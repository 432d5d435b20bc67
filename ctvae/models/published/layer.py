"""What the published CT layer and its repair have in common: three questions, typed answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.errors import CodeError, ShapeError, UnknownActionError
from ctvae.models.published.attention import Weigh
from ctvae.models.published.edges import EdgeNetworks, TargetNetwork
from ctvae.models.published.stack import AttentionStack
from ctvae.randomness import Seed, scoped_seed

__all__ = ["CELLS", "ActionPass", "BasePass", "CTLayer", "Retrieval"]

CELLS = 2**18
"""Numbers of a hidden layer held at a time (1 MiB of floats): memory and speed, never results."""


class BasePass(NamedTuple):
    """What the layer makes of codes without an action.

    Attributes:
        log_probs: ``(rows, slots, codes)`` of the codes after.
        identity_log_probs: ``(rows, slots, codes)`` the same along the graph of loops alone.
        edge_probs: ``(rows, slots, slots)`` probability of the edge ``i -> j``.
        graph: ``(rows, slots, slots)`` the edges drawn, 0 or 1.
    """

    log_probs: Float[Tensor, "rows slots codes"]
    identity_log_probs: Float[Tensor, "rows slots codes"]
    edge_probs: Float[Tensor, "rows slots slots"]
    graph: Float[Tensor, "rows slots slots"]


class ActionPass(NamedTuple):
    """What the layer makes of codes and an action.

    Attributes:
        log_probs: ``(rows, slots, codes)`` of the codes after.
        edge_probs: ``(rows, slots, slots)`` probability of the edge ``i -> j``.
        graph: ``(rows, slots, slots)`` the edges drawn, 0 or 1.
        mask: ``(rows, slots)`` the slots that the action replaces, 0 or 1.
    """

    log_probs: Float[Tensor, "rows slots codes"]
    edge_probs: Float[Tensor, "rows slots slots"]
    graph: Float[Tensor, "rows slots slots"]
    mask: Float[Tensor, "rows slots"]


class Retrieval(NamedTuple):
    """What the layer makes of codes before and after an action.

    Attributes:
        log_probs: ``(rows, actions)`` of the action, normalised, nats.
        scores: ``(rows, actions)`` what they were made from.
    """

    log_probs: Float[Tensor, "rows actions"]
    scores: Float[Tensor, "rows actions"]


class CTLayer(nn.Module, ABC):
    """A causal transition layer: from codes and an action to the law of the codes after.

    Every slot is a node whose features are its one-hot code and the code of its place. Networks
    give each ordered pair of slots the probability of an edge, one network for no action and one
    for each action; an action replaces some slots, whose edges come from its own network; attention
    along edges drawn at random predicts every slot.

    The graph is one of two slices, from codes before to codes after, and another one for every
    image. It need not be acyclic, has no joint law of the codes of one image, and no ``do`` of a
    slot (faults 3, 4 and 5): that is what ``ctvae.SCM`` is for. No answer here needs the image
    after, where it is not asked about (fault 6).

    Args:
        slots: How many slots, the places of a grid times codebooks.
        codes: How many codes each slot has.
        actions: How many actions.
        hidden: The width of the edge networks, then that of a head of each inner attention layer.
        weigh: From scores and gates to attention.
        places: The code of each place, ``(slots, codes)``.
        cells: Numbers of a hidden layer held at a time, about. Changes no result.
        seed: For the first weights.

    Raises:
        ShapeError: When a size is too small.

    Source: Gendron, Witbrock, Dobbie (2023).
    """

    places: Tensor

    def __init__(
        self,
        slots: int,
        codes: int,
        actions: int,
        hidden: Sequence[int],
        *,
        weigh: Weigh,
        places: Float[Tensor, "slots codes"],
        cells: int,
        seed: int,
    ) -> None:
        super().__init__()
        if min(slots, codes, actions, cells, *hidden) < 1 or len(hidden) < 2:
            msg = (
                "slots, codes, actions, cells and all hidden widths are at least 1, and there are "
                f"at least two widths; got {slots}, {codes}, {actions}, {cells}, {tuple(hidden)}"
            )
            raise ShapeError(msg)
        self.slots, self.codes, self.actions = slots, codes, actions
        with scoped_seed(seed):
            self.edges = EdgeNetworks(codes, hidden[0], actions + 1, cells=cells)
            self.targets = TargetNetwork(actions, codes)
            self.embedding = nn.Linear(actions, codes)
            self.attention = AttentionStack(
                codes, hidden[1:], actions + 1, weigh=weigh, cells=cells
            )
        self.register_buffer("places", places, persistent=False)
        widest = max(hidden[0], *((actions + 1) * width for width in hidden[1:]))
        self.rows_at_once = max(1, cells // (slots * widest))

    @abstractmethod
    def base(self, codes: Int[Tensor, "rows slots"], *, seed: Seed = None) -> BasePass:
        """Predicts the codes when nothing is done.

        Args:
            codes: Codes.
            seed: For the edges drawn, and dropout where there is one.

        Returns:
            The law of the codes, which ought to stay.
        """

    @abstractmethod
    def action(
        self, codes: Int[Tensor, "rows slots"], action: Int[Tensor, " rows"], *, seed: Seed = None
    ) -> ActionPass:
        """Predicts the codes after an action.

        Args:
            codes: Codes before.
            action: One for each row.
            seed: For the edges and slots drawn, and dropout where there is one.

        Returns:
            The law of the codes after.
        """

    @abstractmethod
    def retrieval(
        self,
        before: Int[Tensor, "rows slots"],
        after: Int[Tensor, "rows slots"],
        *,
        seed: Seed = None,
    ) -> Retrieval:
        """Infers which action led from codes to codes.

        Args:
            before: Codes before.
            after: Codes after.
            seed: For the edges and slots drawn, and dropout where there is one.

        Returns:
            A law over the actions.
        """

    def act(self, action: Int[Tensor, " rows"]) -> Float[Tensor, "rows 1 codes"]:
        """Gives the features of the node that stands for the action.

        Args:
            action: One for each row.

        Returns:
            A node for each row.
        """
        return (self.embedding.weight.T[action] + self.embedding.bias)[:, None]

    def check_codes(self, codes: Tensor, name: str = "codes") -> Int[Tensor, "rows slots"]:
        """Checks codes.

        Args:
            codes: Codes.
            name: What to call them in a message.

        Returns:
            The codes, int64.

        Raises:
            ShapeError: When there is not one code per slot.
            CodeError: When a code is no integer of the codebook.
        """
        if codes.ndim != 2 or codes.shape[1] != self.slots:
            msg = f"{name} must be (rows, {self.slots}), got {tuple(codes.shape)}"
            raise ShapeError(msg)
        if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
            msg = f"{name} must be integers, got {codes.dtype}"
            raise CodeError(msg)
        if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) >= self.codes):
            msg = (
                f"{name} must lie in 0..{self.codes - 1}, got {int(codes.min())} to "
                f"{int(codes.max())}"
            )
            raise CodeError(msg)
        return codes.long()

    def check_action(self, action: Tensor, rows: int) -> Int[Tensor, " rows"]:
        """Checks the actions of some rows.

        Args:
            action: Action ids.
            rows: How many rows of codes there are.

        Returns:
            The actions, int64.

        Raises:
            ShapeError: When there is not one action per row.
            UnknownActionError: When an id lies outside the set of actions.
        """
        if tuple(action.shape) != (rows,) or action.is_floating_point():
            msg = f"action must be {rows} integers, one per row, got {tuple(action.shape)}"
            raise ShapeError(msg)
        if rows and (int(action.min()) < 0 or int(action.max()) >= self.actions):
            msg = (
                f"actions must lie in 0..{self.actions - 1}, got {int(action.min())} to "
                f"{int(action.max())}"
            )
            raise UnknownActionError(msg)
        return action.long()
