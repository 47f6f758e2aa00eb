"""What stays of the turns after they have ended."""
