"""Known disagreements and expected refusals: what was seen, in which releases, and which results an entry excuses."""
