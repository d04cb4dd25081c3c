"""What explanations are worth, as statistics: numbers with intervals over patients, and verdicts by stated rules."""
