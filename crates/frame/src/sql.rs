//! User SQL: checked before it runs, given a total order, and traced to the columns it came from.

pub(crate) mod check;
pub(crate) mod lineage;
pub(crate) mod local;
pub(crate) mod order;
pub(crate) mod run;
