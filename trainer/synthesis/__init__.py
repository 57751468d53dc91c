"""Parts of `trainer synthesize`: questions by rule and by model, the round trip, and the report."""
