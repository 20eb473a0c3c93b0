//! Distances between a baseline and live rows, with thresholds calibrated on the baseline.
