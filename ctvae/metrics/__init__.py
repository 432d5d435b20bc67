"""Scores: pure functions of tensors."""

from ctvae.metrics.calibration import (
    CalibrationCurve,
    calibration_band,
    calibration_curve,
    calibration_error,
)
from ctvae.metrics.correlation import (
    MeanCorrelation,
    correlation_matrix,
    mean_correlation,
    ranks,
)
from ctvae.metrics.dependent import (
    conditional_information_matrix,
    interventional_information_matrix,
)
from ctvae.metrics.disentanglement import (
    InformationScores,
    MatrixScores,
    info_compactness,
    info_modularity,
    modularity,
    mutual_information_gap,
    score_information,
)
from ctvae.metrics.information import (
    corrected_entropies,
    corrected_information_matrix,
    corrected_mutual_information,
    entropies,
    information_matrix,
    mutual_information,
    noise_floor,
)
from ctvae.metrics.matching import (
    Alignment,
    PermutationAccuracy,
    align_codes,
    match_slots,
    matched_information,
    permutation_accuracy,
)
from ctvae.metrics.predictors import (
    Boosting,
    DCIScores,
    Explicitness,
    Forest,
    Predictor,
    dci,
    info_explicitness,
)
from ctvae.metrics.probabilities import (
    BrierScore,
    auroc,
    brier_score,
)
from ctvae.metrics.retrieval import (
    ActionScores,
    score_actions,
)
from ctvae.metrics.separability import (
    DiagonalScores,
    SAPScores,
    accuracy_matrix,
    attribute_separation,
    diagonal_scores,
    r2_matrix,
)
from ctvae.metrics.temperature import (
    fit_temperature,
    tempered,
)
from ctvae.metrics.transitions import (
    EditAtomicity,
    TransitionSparsity,
    edit_atomicity,
    exactly_one_changed,
    slots_changed,
    transition_sparsity,
)
from ctvae.metrics.voting import (
    VotingScore,
    beta_vae_score,
    beta_vae_score_of_latents,
    factor_vae_score,
    factor_vae_score_of_latents,
)

__all__ = [
    "ActionScores",
    "Alignment",
    "Boosting",
    "BrierScore",
    "CalibrationCurve",
    "DCIScores",
    "DiagonalScores",
    "EditAtomicity",
    "Explicitness",
    "Forest",
    "InformationScores",
    "MatrixScores",
    "MeanCorrelation",
    "PermutationAccuracy",
    "Predictor",
    "SAPScores",
    "TransitionSparsity",
    "VotingScore",
    "accuracy_matrix",
    "align_codes",
    "attribute_separation",
    "auroc",
    "beta_vae_score",
    "beta_vae_score_of_latents",
    "brier_score",
    "calibration_band",
    "calibration_curve",
    "calibration_error",
    "conditional_information_matrix",
    "corrected_entropies",
    "corrected_information_matrix",
    "corrected_mutual_information",
    "correlation_matrix",
    "dci",
    "diagonal_scores",
    "edit_atomicity",
    "entropies",
    "exactly_one_changed",
    "factor_vae_score",
    "factor_vae_score_of_latents",
    "fit_temperature",
    "info_compactness",
    "info_explicitness",
    "info_modularity",
    "information_matrix",
    "interventional_information_matrix",
    "match_slots",
    "matched_information",
    "mean_correlation",
    "modularity",
    "mutual_information",
    "mutual_information_gap",
    "noise_floor",
    "permutation_accuracy",
    "r2_matrix",
    "ranks",
    "score_actions",
    "score_information",
    "slots_changed",
    "tempered",
    "transition_sparsity",
]
