//! The product as a user meets it.

mod bad_input;
mod commands;
mod cycle;
mod resume;
mod serve;
