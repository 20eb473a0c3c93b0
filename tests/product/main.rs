//! The product as a user meets it.

mod bad_input;
mod commands;
mod cycle;
mod outside;
mod resume;
mod serve;
mod settings;
mod stages;
