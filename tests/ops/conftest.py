import selfsr_plugin  # noqa: F401  before any test imports basicsr: applies the alias that its import needs
