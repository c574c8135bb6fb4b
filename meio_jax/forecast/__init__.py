"""Sales history to sample paths of demand, with calibration on periods held out."""

from meio_jax.forecast.judge import Calibration
from meio_jax.forecast.options import ForecastOptions
from meio_jax.forecast.paths import sample_paths
from meio_jax.forecast.run import Forecasted, forecast_run

__all__ = ["Calibration", "ForecastOptions", "Forecasted", "forecast_run", "sample_paths"]
