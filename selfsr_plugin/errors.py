"""The error that ends a run with one sentence instead of a traceback."""


class UserError(ValueError):
    """Something the user gave cannot be used; the message names the file or key and the remedy."""
