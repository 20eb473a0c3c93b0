//! Stage: live rows against the training baseline to drift and quality reports.
