//! Platt and isotonic calibrators.
