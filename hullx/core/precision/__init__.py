"""The precision of residuals and brackets: float64's (`float64`), or about twice that of a dtype (`slices`)."""
