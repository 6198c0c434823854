"""The loop: what comes in, what may happen next, what is promoted and read again."""
