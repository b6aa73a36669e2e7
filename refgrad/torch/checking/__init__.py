"""The implementation of gradcheck and gradgradcheck: questions and memory layouts, evaluation in torch, and the reference."""
