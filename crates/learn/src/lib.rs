#![doc = include_str!("../README.md")]

mod error;
mod finish;
mod folds;
mod judge;
mod learner;
mod learners;
mod matrix;
mod recipe;
mod search;
mod study;
mod task;
mod training_set;
mod transform;
mod zone;

pub use error::LearnError;
pub use finish::{Finish, FinishedModel, finish, trial_fitted, trial_model};
pub use folds::Folds;
pub use gristmill_stats::metric::Task;
pub use judge::{Judged, judge};
pub use learner::{FitContext, Fitted, Hook, Importance, Learner, LearnerKind, NoHook, ParamValue, Params};
pub use matrix::{BlockKind, BlockSlots, CategorySlot, Matrix, NumericSlot};
pub use recipe::{
    ColumnPlan, ElapsedPlan, EncodingPlan, Override, Part, RECIPE_VERSION, Recipe, RecipeOptions, Treatment,
};
pub use search::{Dimension, Range, Space, Tried, propose};
pub use study::{LAG, Outcome, StudySpec, Trial, TrialPlan, TrialReport, leaderboard, refit, run_trial};
pub use task::{EncodedTarget, MAX_CLASSES, TargetPlan};
pub use training_set::TrainingSet;
pub use transform::{FittedTransform, ROW_KEY, UNIT, unseen_matrix};
pub use zone::zone_table;
