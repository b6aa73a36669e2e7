"""How torch is asked by gradcheck and gradgradcheck: memory layouts, questions, answers, and what the reference says."""
