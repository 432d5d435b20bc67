"""What bad input is told: class and words, by table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import torch

from ctvae.errors import CTVAEError, DataError, ShapeError
from ctvae.metrics import (
    accuracy_matrix,
    auroc,
    beta_vae_score,
    brier_score,
    calibration_error,
    conditional_information_matrix,
    dci,
    diagonal_scores,
    edit_atomicity,
    entropies,
    factor_vae_score,
    factor_vae_score_of_latents,
    fit_temperature,
    info_explicitness,
    info_modularity,
    information_matrix,
    interventional_information_matrix,
    match_slots,
    mean_correlation,
    noise_floor,
    permutation_accuracy,
    r2_matrix,
    score_actions,
    score_information,
    tempered,
    transition_sparsity,
)

Score: TypeAlias = Callable[..., Any]
Case: TypeAlias = tuple[Callable[[], object], type[CTVAEError], str]

S = torch.arange(12).reshape(6, 2) % 3
OPEN = S.clone()
OPEN[1, 1] = -1
NEVER = torch.zeros_like(S, dtype=torch.bool)
P = torch.full((6, 3), 1 / 3).log()
Y = torch.tensor([0, 1, 2, 0, 1, 2])
CONSTANT = torch.zeros_like(S)

SCORES = (
    information_matrix,
    score_information,
    conditional_information_matrix,
    permutation_accuracy,
    accuracy_matrix,
    dci,
    info_explicitness,
    factor_vae_score,
    beta_vae_score,
)


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
class TestEveryScoreOfFactorsAndCodes:
    @pytest.mark.parametrize("side", ["factors", "codes"])
    def test_refuses_codes_that_nobody_filled_in(self, score: Score, side: str) -> None:
        both = {"factors": S, "codes": S, side: OPEN}
        with pytest.raises(DataError, match=rf"{side} hold -1 in row 1, column 1.*leave such rows"):
            score(both["factors"], both["codes"])

    def test_refuses_rows_that_do_not_match(self, score: Score) -> None:
        with pytest.raises(ShapeError, match="6 rows, codes 4"):
            score(S, S[:4])

    def test_refuses_numbers_on_a_scale(self, score: Score) -> None:
        with pytest.raises(ShapeError, match=r"must be integers, got torch.float32.*r2_matrix"):
            score(S, S.float())

    def test_refuses_what_is_no_table(self, score: Score) -> None:
        for bad in (S[:, 0], S[:0], S[:, :0]):
            with pytest.raises(ShapeError, match=r"\(rows, columns\) with at least one of each"):
                score(S, bad)


BAD: dict[str, Case] = {
    "codes of one column": (lambda: entropies(S[:, 0]), ShapeError, "at least one of each"),
    "no shuffles": (lambda: noise_floor(S, S, permutations=0), ShapeError, "permutations="),
    "negative information": (
        lambda: info_modularity(torch.tensor([[-0.1]])),
        DataError,
        r"clamp\(min=0\)",
    ),
    "information of one row": (
        lambda: info_modularity(torch.ones(3)),
        ShapeError,
        r"\(factors, slots\), got \(3,\)",
    ),
    "more factors than slots": (
        lambda: match_slots(torch.ones(3, 2)),
        ShapeError,
        "3 factors cannot each have one of 2 slots",
    ),
    "given of another shape": (
        lambda: conditional_information_matrix(S, S, given=torch.ones(3, 3).bool()),
        ShapeError,
        r"given must be \(2, 2\)",
    ),
    "targets of another shape": (
        lambda: interventional_information_matrix(S, S, NEVER[:, :1]),
        ShapeError,
        r"targets must be \(6, 2\)",
    ),
    "factors never set": (
        lambda: interventional_information_matrix(S, S, NEVER),
        DataError,
        r"factors \[0, 1\] were set in no row",
    ),
    "nothing held out": (
        lambda: accuracy_matrix(S, S, held_out=0.0),
        DataError,
        "held_out=0.0 leaves a part of 6 rows empty",
    ),
    "no factor varies, DCI": (lambda: dci(CONSTANT, S), DataError, "no factor varies"),
    "no factor varies, InfoE": (
        lambda: info_explicitness(CONSTANT, S),
        DataError,
        "no factor varies",
    ),
    "no factor varies, votes": (
        lambda: factor_vae_score(CONSTANT, S),
        DataError,
        "no factor varies",
    ),
    "latents of other rows": (
        lambda: factor_vae_score_of_latents(S, torch.ones(4, 2)),
        ShapeError,
        r"latents must be \(6, latents\)",
    ),
    "values of other rows": (
        lambda: r2_matrix(torch.ones(4, 2), S),
        ShapeError,
        r"values must be \(6, factors\)",
    ),
    "scales of other rows": (
        lambda: mean_correlation(torch.ones(4, 2), torch.ones(6, 2)),
        ShapeError,
        "of the same rows",
    ),
    "a slot that is not there": (
        lambda: diagonal_scores(torch.ones(2, 2), [0, 2]),
        ShapeError,
        "need one of 2 slots",
    ),
    "one label too few": (
        lambda: score_actions(P, Y[:5], torch.zeros(3).long()),
        ShapeError,
        "one label per pair",
    ),
    "labels that are floats": (lambda: brier_score(P, Y.float()), ShapeError, "must be integers"),
    "a label that is no action": (
        lambda: brier_score(P, Y + 1),
        DataError,
        "labels run from 1 to 3, the columns from 0 to 2",
    ),
    "NaN for a probability": (lambda: fit_temperature(P * torch.nan, Y), DataError, "hold NaN"),
    "factors of other actions": (
        lambda: score_actions(P, Y, torch.zeros(2).long()),
        ShapeError,
        "one factor per action",
    ),
    "an impossible truth": (
        lambda: fit_temperature(torch.tensor([[0.5, 0.5], [1.0, 0.0]]).log(), torch.tensor([0, 1])),
        DataError,
        "true action of pair 1 has probability zero",
    ),
    "temperature zero": (lambda: tempered(P, 0.0), DataError, "positive and finite, got 0.0"),
    "temperature without bound": (lambda: tempered(P, torch.inf), DataError, "positive and finite"),
    "no negatives": (lambda: auroc(torch.ones(2), torch.ones(0)), ShapeError, "at least one"),
    "scores that are NaN": (
        lambda: auroc(torch.ones(2), torch.tensor([torch.nan])),
        DataError,
        "hold NaN",
    ),
    "one confidence too many": (
        lambda: calibration_error(torch.ones(3), torch.ones(2).bool()),
        ShapeError,
        "one confidence per answer",
    ),
    "rows before and after": (
        lambda: transition_sparsity(S, S[:4]),
        ShapeError,
        "of one shape",
    ),
    "no factor per edit": (
        lambda: edit_atomicity(S, S, torch.zeros(2).long()),
        ShapeError,
        r"one factor per edit \(6,\)",
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input_is_told_what_is_wrong(case: Case) -> None:
    call, error, message = case
    with pytest.raises(error, match=message):
        call()
