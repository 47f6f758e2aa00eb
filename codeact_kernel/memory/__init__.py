"""Remember turns: for follow-up prompts, for running a notebook again, and for its history."""
