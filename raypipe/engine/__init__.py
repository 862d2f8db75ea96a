"""The pure core: graphs, digests, plans and the loop that carries them out.

No file, clock or Ray.
"""
