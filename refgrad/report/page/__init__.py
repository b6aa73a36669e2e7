"""The HTML page: figures, tables and pictures as templates need them."""
