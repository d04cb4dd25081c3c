"""What a run has to do with the machines around it: signals, processes started by others, Slurm. Standard library alone."""
