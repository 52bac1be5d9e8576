"""How BasicSR and spandrel come to know this package, and ``python -m basicsr.train`` to train its models."""
