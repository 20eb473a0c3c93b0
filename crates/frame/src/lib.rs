//! Tables between polars and plain columns: readers, joins and SQL in a bounded child process, dataset bytes.
