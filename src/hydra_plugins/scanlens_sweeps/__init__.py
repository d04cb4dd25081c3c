"""How scanlens sweeps: plugins of Hydra, which finds them here by their place."""
