"""Rows that are transformed on their way to training; nothing of them is written."""
