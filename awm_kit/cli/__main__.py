"""``python -m awm_kit.cli``: the same as ``awm``."""

from awm_kit.cli.app import app

if __name__ == "__main__":
    app(prog_name="awm")
