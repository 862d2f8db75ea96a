"""Tuning: a search over settings; each choice that is tried is a kept trial."""
