"""Feedback: what was asked, joined with the truth, and what follows from it."""
