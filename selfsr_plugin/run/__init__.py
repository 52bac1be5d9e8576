"""A training run around its updates: set-up, processes, folder, data, signals, collapse watch, fingerprint."""
