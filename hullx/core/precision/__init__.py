"""The precision of residuals and brackets: float64 (`float64`), or about twice that of a dtype (`slices`)."""
