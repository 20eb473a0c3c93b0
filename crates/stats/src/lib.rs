#![doc = include_str!("../README.md")]

pub mod calibration;
pub mod compare;
pub mod curve;
pub mod drift;
pub mod gate;
pub mod interval;
pub mod metric;
pub mod profile;
pub mod random;
pub mod schema;
pub mod special;
