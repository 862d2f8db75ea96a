"""The stages of a model's life; each in a folder, none knows another."""

STAGES = ("data", "validation", "preprocessing", "training", "analysis", "registry")
"""In the order in which a run meets them."""
