"""From photographs to face crops: detection or annotations, framing, manifest; their LMDBs, a look at them, a split."""
