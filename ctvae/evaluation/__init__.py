"""Scores that need a model: retrieval, slots, edits judged by the nearest true picture."""

from ctvae.evaluation.edits import EditScores, score_edits
from ctvae.evaluation.judges import GridJudge, Judge, WorldJudge
from ctvae.evaluation.retrieval import RetrievalScores, score_retrieval
from ctvae.evaluation.slots import SlotScores, score_slots

__all__ = [
    "EditScores",
    "GridJudge",
    "Judge",
    "RetrievalScores",
    "SlotScores",
    "WorldJudge",
    "score_edits",
    "score_retrieval",
    "score_slots",
]
