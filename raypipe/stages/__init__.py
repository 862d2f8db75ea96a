"""The stages of a model's life; each in a folder, none knows another."""

STAGES = (
    "data",
    "validation",
    "preprocessing",
    "training",
    "tuning",
    "analysis",
    "registry",
    "serving",
    "feedback",
)
"""In the order in which a run meets them."""
