//! Bootstrap intervals over units of dependence.
