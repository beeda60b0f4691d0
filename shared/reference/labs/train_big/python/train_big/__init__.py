"""Lab "train big": what it takes to train on many machines, on a cluster in one process."""
