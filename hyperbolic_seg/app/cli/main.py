"""Where the console command ``hyperbolic-seg`` starts."""

import io
import sys
import warnings


def main() -> None:
    """Run the command, or say what it lacks."""
    if not sys.warnoptions:
        warnings.simplefilter('ignore')  # of libraries to their callers; what a user has to know is printed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a pipe on Windows takes no tree and no degree sign otherwise
            stream.reconfigure(encoding='utf-8', errors='backslashreplace')
    try:
        from hyperbolic_seg.app.cli.app import app
    except ModuleNotFoundError as error:
        print(f"error: {error}. The command needs its extra: pip install 'hyperbolic-seg[app]'", file=sys.stderr)
        sys.exit(2)
    app()


if __name__ == '__main__':
    main()
