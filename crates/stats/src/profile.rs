//! Profiles of datasets: statistics of every column.
