"""Statistics of what explanations are worth."""
