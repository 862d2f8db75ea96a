"""Feedback: what was asked, joined with the truth, and what follows from it."""

from raypipe.stages.feedback.stage import capture, compare, expect, join, measure, offer, read_log

__all__ = ["capture", "compare", "expect", "join", "measure", "offer", "read_log"]
