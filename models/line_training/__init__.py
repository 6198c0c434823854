"""Training recognisers on line images."""
