"""What stages hand to one another, and how each is written down."""
