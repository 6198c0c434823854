"""The work ledger, the broker and the workers: who may work on what."""
