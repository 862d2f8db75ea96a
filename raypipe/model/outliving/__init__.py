"""What Ray Train does not outlive by itself: a worker that the memory monitor ended."""
