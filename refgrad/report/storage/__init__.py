"""Results files: loading, merging and atomic writing."""
