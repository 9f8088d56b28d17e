"""Retention: what must be kept is kept, what has served its purpose is deleted, and each deletion leaves a proof."""

from anwang.governance.retention.holds import Holds
from anwang.governance.retention.model import (
    Deleted,
    Expirable,
    Finding,
    FindingKind,
    Gone,
    Hold,
    Keeper,
    Proof,
    Report,
    Rule,
    Rules,
    Short,
)
from anwang.governance.retention.reports import Reports, Summary
from anwang.governance.retention.service import Early, Retention, Run, Sign

__all__ = [
    "Deleted",
    "Early",
    "Expirable",
    "Finding",
    "FindingKind",
    "Gone",
    "Hold",
    "Holds",
    "Keeper",
    "Proof",
    "Report",
    "Reports",
    "Retention",
    "Rule",
    "Rules",
    "Run",
    "Short",
    "Sign",
    "Summary",
]
