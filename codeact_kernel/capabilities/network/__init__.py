"""HTTP requests of programs, to the domains that the user allows."""
