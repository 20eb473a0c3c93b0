//! Paired comparison of a candidate with a champion.
