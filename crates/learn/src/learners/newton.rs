//! Penalised generalised linear models by Newton's method with conjugate gradients.
//!
//! Minimises mean loss + (λ / 2) ‖w‖², intercepts unpenalised (Nocedal and Wright, *Numerical
//! Optimization*, 2006, algorithm 7.1), preconditioned by the diagonal. Rows are summed in fixed
//! stretches whose sums are added in order, so the result does not depend on the number of threads.

use rayon::prelude::*;

use super::design::Design;
use crate::LearnError;
use crate::learner::FitContext;

const STRETCHES: usize = 32;
const MAX_NEWTON: u32 = 50;
const MAX_CG: usize = 250;
/// Greatest entry of the gradient (of the mean loss) at which the fit is done.
const TOLERANCE: f64 = 1e-8;

/// The loss of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Half the squared error.
    Squared,
    /// Log loss of two classes, one score.
    Logistic,
    /// Log loss of several classes, one score each.
    Softmax,
}

/// What is minimised.
pub(crate) struct Problem<'a> {
    pub design: &'a Design,
    /// Class index or value per row.
    pub target: &'a [f64],
    pub weight: Option<&'a [f64]>,
    pub loss: Loss,
    pub outputs: usize,
    pub lambda: f64,
}

/// Intercepts and weights by output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Solution {
    pub intercept: Vec<f64>,
    pub weights: Vec<Vec<f64>>,
}

/// Scores' derivatives of one row: slopes, and what curvature needs of them.
struct RowState {
    /// d loss / d score, rows × outputs, already weighted.
    slope: Vec<f64>,
    /// Squared: 1; logistic: p (1 − p); softmax: the probabilities. rows × outputs, not weighted.
    curve: Vec<f64>,
    value: f64,
}

impl Problem<'_> {
    /// Length of the parameter vector: per output an intercept, then one weight per column.
    fn size(&self) -> usize {
        self.outputs * self.stride()
    }

    fn stride(&self) -> usize {
        self.design.columns + 1
    }

    fn weight(&self, row: usize) -> f64 {
        self.weight.and_then(|w| w.get(row)).copied().unwrap_or(1.0)
    }

    fn total(&self) -> f64 {
        (0..self.design.rows).map(|row| self.weight(row)).sum()
    }

    /// Fixed stretches of rows, summed in order.
    fn over_rows<T: Send>(&self, of: impl Fn(std::ops::Range<usize>) -> T + Sync) -> Vec<T> {
        let rows = self.design.rows;
        (0..STRETCHES).into_par_iter().map(|i| of(rows * i / STRETCHES..rows * (i + 1) / STRETCHES)).collect()
    }

    /// Sums vectors that every stretch of rows gives.
    fn summed(&self, of: impl Fn(std::ops::Range<usize>, &mut [f64]) + Sync) -> Vec<f64> {
        let size = self.size();
        let parts = self.over_rows(|range| {
            let mut sum = vec![0.0; size];
            of(range, &mut sum);
            sum
        });
        let mut all = vec![0.0; size];
        for part in parts {
            for (sum, value) in all.iter_mut().zip(part) {
                *sum += value;
            }
        }
        all
    }

    fn score(&self, row: usize, params: &[f64], output: usize) -> f64 {
        let block = &params[output * self.stride()..(output + 1) * self.stride()];
        block[0] + self.design.dot(row, &block[1..])
    }

    /// Loss value and derivatives at `params`.
    fn state(&self, params: &[f64]) -> RowState {
        let k = self.outputs;
        let parts = self.over_rows(|range| {
            let mut part = RowState { slope: Vec::new(), curve: Vec::new(), value: 0.0 };
            let mut scores = vec![0.0; k];
            for row in range {
                for (output, score) in scores.iter_mut().enumerate() {
                    *score = self.score(row, params, output);
                }
                self.row_state(row, &scores, &mut part);
            }
            part
        });
        let mut all = RowState { slope: Vec::new(), curve: Vec::new(), value: 0.0 };
        for part in parts {
            all.slope.extend(part.slope);
            all.curve.extend(part.curve);
            all.value += part.value;
        }
        let total = self.total();
        all.value = all.value / total + 0.5 * self.lambda * self.squared_norm(params);
        all
    }

    fn row_state(&self, row: usize, scores: &[f64], part: &mut RowState) {
        let (weight, target) = (self.weight(row), self.target[row]);
        match self.loss {
            Loss::Squared => {
                let error = scores[0] - target;
                part.value += 0.5 * weight * error * error;
                part.slope.push(weight * error);
                part.curve.push(1.0);
            }
            Loss::Logistic => {
                let z = scores[0];
                // log(1 + e^z) − y z without overflow.
                let softplus = z.max(0.0) + libm::log1p(libm::exp(-z.abs()));
                part.value += weight * (softplus - target * z);
                let p = if z >= 0.0 { 1.0 / (1.0 + libm::exp(-z)) } else { libm::exp(z) / (1.0 + libm::exp(z)) };
                part.slope.push(weight * (p - target));
                part.curve.push(p * (1.0 - p));
            }
            Loss::Softmax => {
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|z| libm::exp(z - top)).sum();
                let log_sum = top + libm::log(sum);
                for (class, z) in scores.iter().enumerate() {
                    let p = libm::exp(z - log_sum);
                    let hit = f64::from(u8::from(class as f64 == target));
                    part.value += weight * hit * (log_sum - z);
                    part.slope.push(weight * (p - hit));
                    part.curve.push(p);
                }
            }
        }
    }

    fn squared_norm(&self, params: &[f64]) -> f64 {
        params.chunks(self.stride()).flat_map(|block| block.iter().skip(1)).map(|w| w * w).sum()
    }

    /// Adds the penalty's part: λ times the weights, nothing for intercepts.
    fn add_penalty(&self, params: &[f64], into: &mut [f64]) {
        for (block, out) in params.chunks(self.stride()).zip(into.chunks_mut(self.stride())) {
            for (w, o) in block.iter().zip(out).skip(1) {
                *o += self.lambda * w;
            }
        }
    }

    fn gradient(&self, params: &[f64], state: &RowState) -> Vec<f64> {
        let (k, stride, total) = (self.outputs, self.stride(), self.total());
        let mut gradient = self.summed(|range, sum| {
            for row in range {
                for output in 0..k {
                    let slope = state.slope[row * k + output] / total;
                    let block = &mut sum[output * stride..(output + 1) * stride];
                    block[0] += slope;
                    self.design.add(row, slope, &mut block[1..]);
                }
            }
        });
        self.add_penalty(params, &mut gradient);
        gradient
    }

    /// The Hessian times `direction`.
    fn curvature(&self, state: &RowState, direction: &[f64]) -> Vec<f64> {
        let (k, stride, total) = (self.outputs, self.stride(), self.total());
        let mut product = self.summed(|range, sum| {
            let mut u = vec![0.0; k];
            for row in range {
                for (output, value) in u.iter_mut().enumerate() {
                    *value = self.score(row, direction, output);
                }
                let curve = &state.curve[row * k..(row + 1) * k];
                let mean: f64 = match self.loss {
                    Loss::Softmax => curve.iter().zip(&u).map(|(p, u)| p * u).sum(),
                    _ => 0.0,
                };
                let weight = self.weight(row) / total;
                for output in 0..k {
                    let factor = weight * curve[output] * (u[output] - mean);
                    let block = &mut sum[output * stride..(output + 1) * stride];
                    block[0] += factor;
                    self.design.add(row, factor, &mut block[1..]);
                }
            }
        });
        self.add_penalty(direction, &mut product);
        product
    }

    /// The Hessian's diagonal.
    fn diagonal(&self, state: &RowState) -> Vec<f64> {
        let (k, stride, total) = (self.outputs, self.stride(), self.total());
        let mut diagonal = self.summed(|range, sum| {
            for row in range {
                for output in 0..k {
                    let p = state.curve[row * k + output];
                    let curve = if self.loss == Loss::Softmax { p * (1.0 - p) } else { p };
                    let factor = self.weight(row) * curve / total;
                    let block = &mut sum[output * stride..(output + 1) * stride];
                    block[0] += factor;
                    self.design.add_squares(row, factor, &mut block[1..]);
                }
            }
        });
        let ones = vec![1.0; diagonal.len()];
        self.add_penalty(&ones, &mut diagonal);
        for value in &mut diagonal {
            *value = value.max(1e-12);
        }
        diagonal
    }

    /// The Newton direction: the Hessian's system solved until the residual is small beside the gradient.
    fn direction(&self, state: &RowState, gradient: &[f64], context: &FitContext<'_>) -> Result<Vec<f64>, LearnError> {
        let diagonal = self.diagonal(state);
        let size = norm(gradient);
        let enough = size * size.sqrt().min(if self.loss == Loss::Squared { 1e-10 } else { 0.1 });
        let mut x = vec![0.0; gradient.len()];
        let mut r: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut z: Vec<f64> = r.iter().zip(&diagonal).map(|(r, d)| r / d).collect();
        let mut p = z.clone();
        let mut rz = dot(&r, &z);
        for _ in 0..MAX_CG {
            if norm(&r) <= enough {
                break;
            }
            context.round(0, MAX_NEWTON, None)?;
            let hp = self.curvature(state, &p);
            let curvature = dot(&p, &hp);
            if curvature <= 0.0 {
                break;
            }
            let alpha = rz / curvature;
            for i in 0..x.len() {
                x[i] += alpha * p[i];
                r[i] -= alpha * hp[i];
                z[i] = r[i] / diagonal[i];
            }
            let next = dot(&r, &z);
            let beta = next / rz;
            rz = next;
            for (p, z) in p.iter_mut().zip(&z) {
                *p = z + beta * *p;
            }
        }
        Ok(x)
    }

    /// Solves the problem, from `intercept`.
    ///
    /// # Errors
    /// [`LearnError::Cancelled`] if the hook said so.
    pub(crate) fn solve(&self, intercept: &[f64], context: &FitContext<'_>) -> Result<Solution, LearnError> {
        let mut params = vec![0.0; self.size()];
        for (block, value) in params.chunks_mut(self.stride()).zip(intercept) {
            block[0] = *value;
        }
        let mut state = self.state(&params);
        for round in 1..=MAX_NEWTON {
            let gradient = self.gradient(&params, &state);
            if gradient.iter().fold(0.0_f64, |top, g| top.max(g.abs())) <= TOLERANCE {
                break;
            }
            context.round(round, MAX_NEWTON, None)?;
            let direction = self.direction(&state, &gradient, context)?;
            let slope = dot(&gradient, &direction);
            let mut step = 1.0;
            let mut moved = None;
            // Armijo's rule; a Newton step near the optimum is taken whole.
            for _ in 0..40 {
                let candidate: Vec<f64> = params.iter().zip(&direction).map(|(p, d)| p + step * d).collect();
                let next = self.state(&candidate);
                if next.value <= state.value + 1e-4 * step * slope {
                    moved = Some((candidate, next));
                    break;
                }
                step *= 0.5;
            }
            // No step lowers the loss further: as good as numbers of this width get.
            let Some((candidate, next)) = moved else { break };
            params = candidate;
            state = next;
        }
        let blocks = params.chunks(self.stride());
        Ok(Solution {
            intercept: blocks.clone().map(|block| block[0]).collect(),
            weights: blocks.map(|block| block[1..].to_vec()).collect(),
        })
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
