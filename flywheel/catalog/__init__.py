"""Read queries of the API by noun, each from a session to models of flywheel.wire."""
