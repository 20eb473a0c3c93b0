//! The model message as generated from `proto/gristmill/model/v1alpha1/model.proto`.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

include!("generated/gristmill.model.v1alpha1.rs");
