"""Work: the ledger of shards and leases, the route, the queues and their hints, and the status of workers."""
