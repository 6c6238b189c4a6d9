"""The console command ``hyperbolic-seg``."""
