//! The learners, one per file.

mod boosting;
mod checkpoint;
mod constant;
mod design;
mod elastic_net;
mod forest;
mod linear;
mod logistic;
mod naive_bayes;
mod newton;
mod trees;

pub(crate) use boosting::Boosting;
pub(crate) use constant::{Constant, prior_scores};
pub(crate) use design::Design;
pub(crate) use elastic_net::ElasticNet;
pub(crate) use forest::RandomForest;
pub(crate) use linear::Linear;
pub(crate) use logistic::Logistic;
pub(crate) use naive_bayes::NaiveBayes;
pub(crate) use trees::tree_matrix;
