"""A training loop of the user's own: run by Ray Train as it is, and what it reports taken up."""
