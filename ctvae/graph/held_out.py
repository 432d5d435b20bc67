"""Calibration on held-out interventions: each is foretold by what the other rows teach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import DataError, GraphError, RegimeError
from ctvae.graph.comparison_plots import draw_calibration
from ctvae.graph.discovery import (
    DiscoveryMethod,
    DiscoveryResult,
    learn_graph,
    observational_rows,
)
from ctvae.graph.kinds import GraphKind
from ctvae.graph.knowledge import Knowledge
from ctvae.graph.marginal_changes import change_evidence
from ctvae.metrics import CalibrationCurve, calibration_band, calibration_curve, calibration_error
from ctvae.randomness import Seed
from ctvae.regimes import Samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["HeldOutCalibration", "held_out_calibration"]

BINS = 10
SIMULATIONS = 500


@dataclass(frozen=True, eq=False)
class HeldOutCalibration:
    """What was foretold of interventions that were held out, beside what their rows show.

    A pair is a target and another slot: what was learned without the target gives the probability
    that the slot's law changes when the target is set, and the held-out rows show that it changed,
    or that it did not, or too little to say. Only pairs on which the rows decide are scored.

    Attributes:
        slots: The slots.
        targets: The slots that were held out in turn.
        rows: ``(targets,)`` in how many rows each was set alone.
        probabilities: ``(targets, slots)`` float64, that setting the target changes the slot's
            law: that the slot is its descendant; NaN for the target itself.
        log_bayes_factors: ``(targets, slots)`` float64, nats for a change by the held-out rows;
            NaN for the target itself.
        decisive: How many nats, for or against, make the rows' verdict.
    """

    slots: tuple[str, ...]
    targets: tuple[str, ...]
    rows: Int[Tensor, " targets"]
    probabilities: Float[Tensor, "targets slots"]
    log_bayes_factors: Float[Tensor, "targets slots"]
    decisive: float

    @property
    def decided(self) -> Bool[Tensor, "targets slots"]:
        """The pairs on which the rows decide."""
        return self.log_bayes_factors.abs() >= self.decisive  # NaN is not

    @property
    def changed(self) -> Bool[Tensor, "targets slots"]:
        """The pairs in which the rows show a change."""
        return self.log_bayes_factors >= self.decisive

    @property
    def brier(self) -> float:
        """The mean squared error of the probabilities."""
        said, true = self._judged()
        return float((said - true.double()).square().mean())

    @property
    def base_rate_brier(self) -> float:
        """The Brier score of whoever says the share of changes of every pair."""
        share = self._judged()[1].double().mean()
        return float(share * (1 - share))

    @property
    def calibration_error(self) -> float:
        """The expected calibration error in ten bins; read it beside ``chance_error``."""
        return calibration_error(*self._judged(), bins=BINS)

    @property
    def chance_error(self) -> float:
        """The calibration error that true probabilities exceed in one of forty such data sets."""
        return calibration_band(self._judged()[0], bins=BINS, simulations=SIMULATIONS)[1]

    @property
    def curve(self) -> CalibrationCurve:
        """The reliability curve: mean probability, share changed and number of pairs by bin."""
        return calibration_curve(*self._judged(), bins=BINS)

    def plot(self) -> Figure:
        """Draws the reliability curve.

        Returns:
            A figure; the strip below counts the pairs of each bin.

        Raises:
            DataError: When the rows decide on no pair.
        """
        said, true = self._judged()
        return draw_calibration(
            {"held-out interventions": (said.numpy(), true.numpy())},
            chance="probability that the law changes",
            share="share of laws that changed",
        )

    def _judged(self) -> tuple[Float[Tensor, " pairs"], Bool[Tensor, " pairs"]]:
        decided = self.decided
        if not bool(decided.any()):
            msg = (
                f"the held-out rows decide on none of the {self._pairs} pairs by {self.decisive} "
                "nats, so there is nothing to score; use more rows of each intervention, or a "
                "lower decisive="
            )
            raise DataError(msg)
        return self.probabilities[decided], self.changed[decided]

    @property
    def _pairs(self) -> int:
        return len(self.targets) * (len(self.slots) - 1)

    def __str__(self) -> str:
        decided = int(self.decided.sum())
        first = (
            f"{len(self.targets)} held-out interventions ({', '.join(self.targets)}): "
            f"the rows decide on {decided} of {self._pairs} pairs"
        )
        if not decided:
            return first
        bins = enumerate(zip(*(part.tolist() for part in self.curve), strict=True))
        return "\n".join([
            first,
            f"Brier {self.brier:.3f} (base rate {self.base_rate_brier:.3f}), calibration error "
            f"{self.calibration_error:.3f} (by chance up to {self.chance_error:.3f})",
            "probability  pairs   mean  changed",
            *(
                f"{k / BINS:.1f} to {(k + 1) / BINS:.1f}  {size:7.0f}  {mean:.3f}    {share:.3f}"
                for k, (mean, share, size) in bins
                if size
            ),
        ])


def held_out_calibration(
    samples: Samples,
    *,
    method: DiscoveryMethod,
    decisive: float = 3.0,
    knowledge: Knowledge | None = None,
    seed: Seed = 0,
) -> HeldOutCalibration:
    r"""Judges a method by interventions that it has not seen.

    .. math:: \text{Brier} = \frac{1}{|D|} \sum_{(t, k) \in D}
        (P(k \text{ descends from } t \mid \text{rows without } t) - c_{tk})^2

    Each slot t that was set alone is held out in turn. The method learns from the rows in which t
    was not set, and its ``descendant_probabilities`` say which laws setting t would change; a
    method without them says 0 or 1 by its DAG. The rows in which t was set then show which laws
    did change (:math:`c_{tk} = 1`), by a Bayes factor of separate laws for every value of t
    against the natural law for all. D are the pairs on which it is decisive.

    This needs no true graph. But a distant descendant may change less than the rows can see, and
    then counts against a graph that is right: give each intervention many rows. Over models drawn
    from the prior of ``InterventionalBDeu`` the calibration error is .03 with 3000 rows of each
    intervention and .08 with 300; by the true descendants of all pairs it is .01 for both. The
    pairs of one data set hang together, so few interventions give a rough figure.

    Args:
        samples: Rows with known targets, some of them observational. A target's codes must not
            have been chosen by those of other slots, as they are under a soft intervention.
        method: What is judged: ``InterventionalBDeu(...)``, ``OrderMCMC(...)`` or any other that
            returns DAGs.
        decisive: The evidence in nats that counts as a verdict, above 0; 3 nats are 20 to 1.
        knowledge: What every graph must and must not hold.
        seed: The seed of methods that draw.

    Returns:
        Probabilities and evidence of all pairs, with their scores; on the CPU.

    Raises:
        RegimeError: Where targets are not known, on edit or counterfactual rows, or when there
            are no observational rows.
        DataError: When no slot was set alone, or ``decisive`` is not above 0.
        GraphError: When the method's graphs are no DAGs.

    Example:
        >>> import ctvae as ct
        >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=3)
        >>> done = [scm.do({s: torch.arange(400) % 2}).sample(1, seed=1)[0] for s in "ab"]
        >>> targets = torch.eye(3, dtype=torch.bool)[:, 1:].repeat_interleave(400, 0)
        >>> codes = torch.cat([scm.sample(400, seed=0), *done])
        >>> rows = ct.Samples(codes, scm.slots, ct.Regime.INTERVENTIONAL, targets)
        >>> held_out_calibration(rows, method=ct.graph.InterventionalBDeu()).changed.tolist()
        [[False, True], [False, False]]

    Source: Brier (1950); Naeini, Cooper and Hauskrecht (2015), the calibration error; Kass and
    Raftery (1995), 3 nats as strong evidence.
    Cost: one run of the method for every target.
    """
    if not decisive > 0:
        msg = f"decisive must be above 0 nats, got {decisive}"
        raise DataError(msg)
    samples = samples.unweighted()
    targets = _known_targets(samples)
    natural = observational_rows(samples, method="held_out_calibration").codes.cpu()
    alone = targets & (targets.sum(1, keepdim=True) == 1)
    held_out = alone.any(0).nonzero()[:, 0].tolist()
    said, evidence = [], []
    for target in held_out:
        seen = samples.take_rows(~targets[:, target])
        result = learn_graph(seen, method=method, knowledge=knowledge, seed=seed)
        said.append(_descendants(result)[target])
        said[-1][target] = torch.nan
        done = samples.codes[alone[:, target]].cpu()
        evidence.append(change_evidence(natural, done, target, samples.slots.cardinalities))
    return HeldOutCalibration(
        slots=samples.slots.names,
        targets=tuple(samples.slots.names[k] for k in held_out),
        rows=alone.sum(0)[held_out].cpu(),
        probabilities=torch.stack(said),
        log_bayes_factors=torch.stack(evidence),
        decisive=decisive,
    )


def _known_targets(samples: Samples) -> Bool[Tensor, "rows slots"]:
    if samples.targets is None:
        got = "regimes whose targets are not known" if samples.regimes is not None else "no targets"
        msg = (
            f"held_out_calibration foretells what setting a slot does, and these rows have {got}; "
            "pass Samples with targets= (rows, slots)"
        )
        raise RegimeError(msg)
    if not bool((samples.targets.sum(1) == 1).any()):
        msg = (
            "no slot was set alone in any row, so no change has one cause; hold-outs need such rows"
        )
        raise DataError(msg)
    return samples.targets


def _descendants(result: DiscoveryResult) -> Float[Tensor, "slots slots"]:
    """Gives the probabilities of descent; those of a method without a posterior are 0 or 1."""
    if result.descendant_probabilities is not None:
        return result.descendant_probabilities.double().cpu().clone()
    graph = result.graph
    if graph.kind is not GraphKind.DAG:
        msg = (
            f"{result.method!r} returned a graph of kind {graph.kind.value}, which does not say "
            "who is a descendant of whom; judge a method that returns DAGs, such as OrderMCMC"
        )
        raise GraphError(msg)
    below = [[float(k in graph.descendants(node)) for k in graph.nodes] for node in graph.nodes]
    return torch.tensor(below, dtype=torch.float64)
