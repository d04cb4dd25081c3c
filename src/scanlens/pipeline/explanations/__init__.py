"""Heat maps put to the test: what a finished run's explanations are worth, part by part."""
