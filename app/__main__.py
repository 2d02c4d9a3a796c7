"""The process of the command ``sluice``, which is also ``python -m app``."""

import gc


def main() -> None:
    """Run the command line, over modules that no garbage collection walks.

    What is imported stays for good. Walking it again and again while more is imported, and while schemas are made of
    it, was a tenth of the CPU of a start.
    """
    gc.disable()
    try:
        from app.cli import app  # noqa: PLC0415 - the import is what is not to be walked
    finally:
        gc.freeze()
        gc.enable()
    app()


if __name__ == "__main__":
    main()
