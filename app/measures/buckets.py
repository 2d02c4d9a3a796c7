"""The bounds of the histograms, and the labels that most series have."""

SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)

PACKAGE = ("model", "version")
