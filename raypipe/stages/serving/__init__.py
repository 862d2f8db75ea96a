"""Serving: model versions behind one gateway, and the log of what they were asked."""
