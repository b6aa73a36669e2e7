"""Cases: what a framework is asked, where the choices of a family come from, and which parts fit together."""
