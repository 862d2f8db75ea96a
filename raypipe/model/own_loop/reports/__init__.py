"""What a loop of the user's own reports, as it is taken up in Ray Train's controller."""
