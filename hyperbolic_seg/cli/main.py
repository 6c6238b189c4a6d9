"""Where the console command ``hyperbolic-seg`` starts."""

import sys
import warnings


def main() -> None:
    """Run the command, or say what it lacks."""
    if not sys.warnoptions:
        warnings.simplefilter('ignore')  # of libraries to their callers; what a user has to know is printed
    try:
        from hyperbolic_seg.cli.app import app
    except ModuleNotFoundError as error:
        print(f"error: {error}. The command needs its extra: pip install 'hyperbolic-seg[app]'", file=sys.stderr)
        sys.exit(2)
    app()


if __name__ == '__main__':
    main()
