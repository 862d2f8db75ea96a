"""Rows on their way to the workers that train."""
