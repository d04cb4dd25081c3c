"""What heat maps are worth, in numbers: statistics of the tests that explanations are put to."""
