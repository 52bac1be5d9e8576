"""What exists only because of BasicSR 1.4.2's age. Imported by the entry points alone."""
