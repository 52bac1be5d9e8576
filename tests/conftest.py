"""selfsr_plugin comes before BasicSR in every test: it applies the alias that ``import basicsr`` needs."""
import selfsr_plugin  # noqa: F401
