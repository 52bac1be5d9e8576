"""What every update does: precision, processes, flags, optimizers, averages, checkpoints."""
