"""The HTML page: figures, tables and drawings, prepared for the templates."""
