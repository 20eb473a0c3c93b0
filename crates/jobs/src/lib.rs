//! The durable job ledger and the lease service.
