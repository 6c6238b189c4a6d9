"""Entry point of the command ``hyperbolic-seg``."""

import io
import sys


def main() -> None:
    """Run the command, or name the extra that it lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # pipes on Windows cannot encode a tree or a degree sign otherwise
            stream.reconfigure(encoding='utf-8', errors='backslashreplace')
    try:
        from hyperbolic_seg.app.cli.app import app
    except ModuleNotFoundError as error:
        print(f"error: {error}. The command needs its extra: pip install 'hyperbolic-seg[app]'", file=sys.stderr)
        sys.exit(2)
    app()


if __name__ == '__main__':
    main()
