"""How far the derivatives of elementwise ops are off, in ULP, against mpmath."""
