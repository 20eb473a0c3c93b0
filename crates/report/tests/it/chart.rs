//! Charts survive any numbers and draw what they were given.

use gristmill_report::{Bars, Forest, ForestRow, Lines, Scatter, Series};

fn lines(points: Vec<(f64, f64)>) -> String {
    let series = vec![Series { name: "a".into(), points, ..Series::default() }];
    Lines { title: "t".into(), x_label: "x".into(), y_label: "y".into(), series, ..Lines::default() }
        .render()
        .into_string()
}

#[test]
fn no_value_makes_a_drawing_that_is_not_a_number() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e-300, 1e300, 5.0];
    for a in odd {
        for b in odd {
            let page = lines(vec![(a, b), (b, a), (a, a)]);
            assert!(!page.contains("NaN") && !page.contains("inf"), "{a} {b}: {page}");
        }
    }
}

#[test]
fn a_point_stands_where_its_value_says() {
    let page = Lines::roc(
        "ROC",
        vec![Series { name: "m".into(), points: vec![(0.0, 0.0), (0.5, 1.0), (1.0, 1.0)], ..Series::default() }],
    );
    let page = page.render().into_string();
    // Frame of 440 × 400: left 16 + 7.2 × 3, right 14, top 24, bottom 44.
    assert!(page.contains("points=\"37.6,356.0 231.8,24.0 426.0,24.0\""), "{page}");
    assert!(page.contains("chance"));
}

#[test]
fn ticks_are_round_and_inside() {
    let page = lines(vec![(0.0, 0.0), (7.0, 0.031)]);
    for tick in ["0.00", "0.01", "0.02", "0.03", "0.04"] {
        assert!(page.contains(&format!(">{tick}<")), "{tick} is missing: {page}");
    }
}

#[test]
fn long_series_are_thinned_and_keep_their_ends() {
    let page = lines((0..100_000).map(|n| (f64::from(n), f64::from(n))).collect());
    assert!(page.len() < 20_000, "{} bytes", page.len());
    assert!(page.contains("100000 points from (0, 0) to (99,999, 99,999)"), "{page}");
}

#[test]
fn empty_charts_say_so() {
    for page in [
        lines(Vec::new()),
        lines(vec![(f64::NAN, 1.0)]),
        Bars::default().render().into_string(),
        Scatter::default().render().into_string(),
        Forest { reference: Some(0.0), ..Forest::default() }.render().into_string(),
    ] {
        assert!(page.contains("No data to draw."), "{page}");
    }
}

#[test]
fn bars_and_estimates_carry_their_numbers_as_tooltips() {
    let page = Bars::histogram("h", "minutes", &[0.0, 1.0, 3.0], &[2, 5]).render().into_string();
    assert!(page.contains("<title>0 to 1: rows 2</title>") && page.contains("<title>1 to 3: rows 5</title>"), "{page}");
    let row = ForestRow { label: "All".into(), value: 0.5, low: 0.25, high: 0.75, note: String::new() };
    let page = Forest { rows: vec![row], ..Forest::default() }.render().into_string();
    assert!(page.contains("<title>All: 0.5 (0.25 to 0.75)</title>"), "{page}");
}
