//! Fitting: transforms, learners, search spaces and samplers, pure and seeded.
