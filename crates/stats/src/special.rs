//! Special functions on `libm`.
