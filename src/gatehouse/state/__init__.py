"""The embedded lakehouse between two runs of CI: packed into one file, which a git ref names."""
