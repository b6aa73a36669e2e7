"""Known disagreements and expected refusals: where each was seen, in which releases, and which results an entry covers."""
