"""From photographs to face crops: detection or annotations, framing, manifest; LMDBs of them, a look at them, a split."""
