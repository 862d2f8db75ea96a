"""The pure core: graphs, digests, plans and the loop that carries them out; no file, clock or Ray."""
