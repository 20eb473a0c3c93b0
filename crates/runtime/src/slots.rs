//! CPU slots of the process: how many threads a piece of work may use.
