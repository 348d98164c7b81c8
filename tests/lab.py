"""The notebook driver of the benchmarks, under the name that browser tests know it by."""

from awm_kit.bench.lab import (
    PROBE,
    TOKEN,
    Notebook,
    chromium_browser,
    jupyter_lab,
    voila,
    write_notebook,
)

__all__ = ["PROBE", "TOKEN", "Notebook", "chromium_browser", "jupyter_lab", "voila", "write_notebook"]
