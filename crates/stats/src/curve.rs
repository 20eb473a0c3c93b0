//! Curves of bounded size for reports.
