"""What a caller may ask for: policies, limits, rates."""
