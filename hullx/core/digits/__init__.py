"""With how many digits residuals and brackets are computed: float64's (`plain`), or those of slices (`sliced`)."""
