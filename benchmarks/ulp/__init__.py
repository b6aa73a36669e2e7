"""How far a framework's elementary functions are off, in ULP, beside the figures that refgrad judges with."""
