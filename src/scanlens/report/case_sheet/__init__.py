"""The sheet of one case for a clinician: a record of everything that was measured, and the page made from it alone."""
