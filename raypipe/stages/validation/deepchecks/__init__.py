"""deepchecks, in an environment and a process of its own: a sample in, results and a page out."""
