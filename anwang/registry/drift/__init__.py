"""Configuration drift (G24): what devices say of their settings, the signed baseline, and where the two differ."""

from anwang.registry.drift.model import MOST_KEYS, Answer, Baseline, Drift, Kind, Origin, Seal, values_of
from anwang.registry.drift.service import Drifts, Listed, Standing

__all__ = [
    "MOST_KEYS",
    "Answer",
    "Baseline",
    "Drift",
    "Drifts",
    "Kind",
    "Listed",
    "Origin",
    "Seal",
    "Standing",
    "values_of",
]
