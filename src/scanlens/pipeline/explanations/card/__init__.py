"""What a score card of explanations is made of: images, methods, measures, and the numbers that come of them."""
