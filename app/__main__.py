"""The process of the command ``sluice``, which is also ``python -m app``."""

from app.unwalked import unwalked


def main() -> None:
    """Run the command line."""
    with unwalked():
        from app.cli import app  # noqa: PLC0415 - the import is what is not to be walked
    app()


if __name__ == "__main__":
    main()
