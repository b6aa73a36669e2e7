"""Results files: read, merged and written, each whole or not at all."""
