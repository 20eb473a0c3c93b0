//! The model as data and the one interpreter that applies it to unseen rows.

pub mod proto;
