"""What is recorded, as the API tells it: read queries by noun, each from a session to models of flywheel.wire."""
