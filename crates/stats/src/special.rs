//! Special functions on `libm`, so that their bits are the same everywhere (I8).

const SQRT_2: f64 = std::f64::consts::SQRT_2;
/// Iterations after which a series or continued fraction is taken as it stands.
const ITERATIONS: u32 = 10_000;
const TINY: f64 = 1e-300;

/// `1 / (1 + e^-x)`, without overflow on either side.
pub fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

/// `ln(p / (1 - p))`, with `p` held within one rounding unit of 0 and 1 so that it is finite.
pub fn logit(p: f64) -> f64 {
    let p = p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    libm::log(p) - libm::log1p(-p)
}

/// Distribution function of the standard normal.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

fn ratio(r: f64, numerator: &[f64; 8], denominator: &[f64; 7]) -> f64 {
    let top = numerator.iter().rev().fold(0.0, |sum, c| sum * r + c);
    let bottom = denominator.iter().rev().fold(0.0, |sum, c| sum * r + c) * r + 1.0;
    top / bottom
}

/// Quantile of the standard normal: Wichura (1988), algorithm AS 241, about 16 digits.
///
/// Infinite at 0 and 1, NaN outside.
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 8] = [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ];
    const B: [f64; 7] = [
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ];
    const C: [f64; 8] = [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ];
    const D: [f64; 7] = [
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ];
    const E: [f64; 8] = [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ];
    const F: [f64; 7] = [
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ];
    if p.is_nan() || !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(0.180_625 - q * q, &A, &B);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail == 0.0 {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let r = (-libm::log(tail)).sqrt();
    let x = if r <= 5.0 { ratio(r - 1.6, &C, &D) } else { ratio(r - 5.0, &E, &F) };
    if q < 0.0 { -x } else { x }
}

/// Upper regularised incomplete gamma function Q(a, x), for `a > 0` and `x >= 0` (DLMF 8.7.1, 8.9.2).
pub fn gamma_q(a: f64, x: f64) -> f64 {
    if a.is_nan() || x.is_nan() || a <= 0.0 || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return 1.0;
    }
    if x.is_infinite() {
        return 0.0;
    }
    let scale = libm::exp(a * libm::log(x) - x - libm::lgamma(a));
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..ITERATIONS {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return (1.0 - scale * sum).clamp(0.0, 1.0);
    }
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..ITERATIONS {
        let i = f64::from(i);
        let an = -i * (i - a);
        b += 2.0;
        d = 1.0 / guard(an * d + b);
        c = guard(b + an / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    (scale * h).clamp(0.0, 1.0)
}

fn guard(x: f64) -> f64 {
    if x.abs() < TINY { TINY } else { x }
}

/// Probability that chi-square with `degrees` degrees of freedom exceeds `x`.
pub fn chi2_sf(x: f64, degrees: f64) -> f64 {
    gamma_q(degrees / 2.0, (x / 2.0).max(0.0))
}

/// Regularised incomplete beta function I_x(a, b), for positive `a` and `b` (DLMF 8.17.22, by the
/// modified method of Lentz).
pub fn beta_inc(a: f64, b: f64, x: f64) -> f64 {
    if a.is_nan() || b.is_nan() || a <= 0.0 || b <= 0.0 || !(0.0..=1.0).contains(&x) {
        return f64::NAN;
    }
    if x == 0.0 || x == 1.0 {
        return x;
    }
    let front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    let front = libm::exp(front);
    // The fraction converges fast on this side of the mean only.
    if x < (a + 1.0) / (a + b + 2.0) {
        (front * beta_fraction(a, b, x) / a).clamp(0.0, 1.0)
    } else {
        (1.0 - front * beta_fraction(b, a, 1.0 - x) / b).clamp(0.0, 1.0)
    }
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..ITERATIONS {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    h
}

/// Distribution function of Student's t with `degrees` degrees of freedom.
pub fn t_cdf(t: f64, degrees: f64) -> f64 {
    let tail = 0.5 * beta_inc(degrees / 2.0, 0.5, degrees / (degrees + t * t));
    if t >= 0.0 { 1.0 - tail } else { tail }
}

/// Quantile of Student's t with `degrees` degrees of freedom, by bisection to the last bits.
pub fn t_quantile(p: f64, degrees: f64) -> f64 {
    if p.is_nan() || !(0.0..=1.0).contains(&p) || degrees.is_nan() || degrees <= 0.0 {
        return f64::NAN;
    }
    if p < 0.5 {
        return -t_quantile(1.0 - p, degrees);
    }
    if p == 1.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while t_cdf(high, degrees) < p && high < 1e300 {
        low = high;
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if t_cdf(middle, degrees) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(ours: f64, reference: f64, relative: f64) {
        assert!((ours - reference).abs() <= relative * reference.abs(), "{ours} is not {reference}");
    }

    /// References: SciPy 1.17.1 (`scipy.special.ndtri`, `gammaincc`, `betainc`, `stats.t`).
    #[test]
    fn equal_to_scipy() {
        #[rustfmt::skip]
        let cases = [
            (normal_quantile(1e-300), -37.0470962993612),
            (normal_quantile(1e-20), -9.262340089798409),
            (normal_quantile(1e-05), -4.264890793922825),
            (normal_quantile(0.025), -1.9599639845400545),
            (normal_quantile(0.3), -0.5244005127080409),
            (normal_quantile(0.5000001), 2.506628273311648e-07),
            (normal_quantile(0.7), 0.5244005127080407),
            (normal_quantile(0.9), 1.2815515655446004),
            (normal_quantile(0.975), 1.959963984540054),
            (normal_quantile(0.999999), 4.753424308817087),
            (normal_cdf(-30.0), 4.906713927147908e-198),
            (normal_cdf(-8.0), 6.22096057427174e-16),
            (normal_cdf(-1.96), 0.024997895148220435),
            (normal_cdf(0.1), 0.539827837277029),
            (normal_cdf(1.0), 0.8413447460685429),
            (normal_cdf(5.0), 0.9999997133484281),
            (gamma_q(0.5, 0.1), 0.6547208460185768),
            (gamma_q(0.5, 3.0), 0.014305878435429641),
            (gamma_q(1.0, 1.0), 0.36787944117144245),
            (gamma_q(3.0, 20.0), 4.5551495055892125e-07),
            (gamma_q(50.0, 40.0), 0.9296649333406051),
            (gamma_q(50.0, 60.0), 0.08440668109369177),
            (gamma_q(500.0, 520.0), 0.18469114909874365),
            (chi2_sf(0.5, 1.0), 0.47950012218695337),
            (chi2_sf(3.84, 1.0), 0.05004352124870519),
            (chi2_sf(22.5, 6.0), 0.0009824574509337957),
            (chi2_sf(150.0, 99.0), 0.0007204453957169282),
            (beta_inc(0.5, 0.5, 0.3), 0.36901011956554536),
            (beta_inc(2.0, 3.0, 0.4), 0.5247999999999999),
            (beta_inc(10.0, 0.5, 0.95), 0.31715157546554495),
            (beta_inc(100.0, 200.0, 0.3), 0.10884306564490986),
            (beta_inc(1.0, 1.0, 0.7), 0.7),
            (t_cdf(-2.0, 5.0), 0.050969739414929174),
            (t_cdf(0.5, 1.0), 0.6475836176504333),
            (t_cdf(1.96, 1000.0), 0.9748634075221256),
            (t_cdf(-12.0, 30.0), 2.7900927075996303e-13),
            (t_quantile(0.975, 10.0), 2.228138851986274),
            (t_quantile(0.6, 1.0), 0.32491969623290634),
            (t_quantile(0.01, 73.0), -2.378521877647268),
        ];
        for (ours, reference) in cases {
            close(ours, reference, 1e-12);
        }
    }

    #[test]
    fn logit_and_logistic_are_inverse_and_finite() {
        for p in [0.0, 1e-12, 0.25, 0.5, 0.9, 1.0] {
            let z = logit(p);
            assert!(z.is_finite());
            assert!((logistic(z) - p).abs() < 1e-15);
        }
        assert_eq!(logistic(-1000.0), 0.0);
        assert_eq!(logistic(1000.0), 1.0);
    }
}
