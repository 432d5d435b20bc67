"""The figures of one trained method on held-out images and pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ctvae.bench.problems import Problem
from ctvae.metrics import (
    Boosting,
    dci,
    info_explicitness,
    score_information,
    transition_sparsity,
)
from ctvae.models.baselines import HasCodes, RetrievesActions, TrainedBaseline

__all__ = ["Judging", "judge"]


@dataclass(frozen=True)
class Judging:
    """How methods are scored.

    Attributes:
        boosting_rounds: Of DCI's predictor.
        permutations: For the noise floor under which a slot is pruned.
        seed: For splits and shuffles.
    """

    boosting_rounds: int = 20
    permutations: int = 200
    seed: int = 0


def judge(trained: TrainedBaseline, problem: Problem, how: Judging) -> dict[str, float | None]:
    """Scores what a method can do; what it cannot is left out.

    Args:
        trained: A trained method.
        problem: The problem it was trained on.
        how: Settings of the scores.

    Returns:
        Figures by name; ``None`` where one is not defined.
    """
    found: dict[str, float] = {"parameters": trained.num_parameters}
    test = problem.test
    before, after = test.images[test.before], test.images[test.after]
    if isinstance(trained, RetrievesActions):
        log_probs = trained.action_log_probs(before, after).cpu().double()
        answer = log_probs == log_probs.max(1, keepdim=True).values
        credit = answer / answer.sum(1, keepdim=True)  # equals share the credit
        truth = test.action[:, None]
        found["accuracy"] = float(credit.gather(1, truth).mean())
        found["nll"] = -float(log_probs.gather(1, truth).mean())
    if isinstance(trained, HasCodes):
        changes = transition_sparsity(trained.encode(before).cpu(), trained.encode(after).cpu())
        found["slots_changed"] = changes.mean_changed
        codes = trained.encode(problem.judged.images).cpu()
        factors = problem.judged.moved_factors
        told = score_information(factors, codes, permutations=how.permutations, seed=how.seed)
        found["matched_nmi"] = told.pruned.matched_information
        found["info_modularity"] = told.pruned.info_modularity
        found["info_explicitness"] = info_explicitness(factors, codes, seed=how.seed).score
        found["info_compactness"] = told.pruned.info_compactness
        found["mig"] = told.pruned.mutual_information_gap
        boosted = dci(factors, codes, predictor=Boosting(how.boosting_rounds), seed=how.seed)
        found["dci_disentanglement"] = boosted.disentanglement
        found["dci_completeness"] = boosted.completeness
        found["dci_informativeness"] = boosted.informativeness
    return {name: value if math.isfinite(value) else None for name, value in found.items()}
