"""User-defined derivatives: stop_gradient, custom_vjp, custom_jvp."""

from refgrad.custom.functions import custom_jvp, custom_vjp
from refgrad.custom.stop_gradient import stop_gradient

__all__ = ["custom_jvp", "custom_vjp", "stop_gradient"]
