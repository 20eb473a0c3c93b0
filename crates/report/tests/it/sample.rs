//! A page with every component, whose every text can be chosen.

use gristmill_report::{
    Align, Bars, Forest, ForestRow, HorizontalBars, Lines, Markup, MetricBar, MetricBars, Page, Scatter, Section,
    Series, Table, TableCell, Tone, banner, definitions, details, list, note, paragraph, steps,
};

/// The page; `text` appears in every place that takes text.
pub fn page(text: &str) -> Page {
    Page::new(text)
        .kicker(format!("Evaluation · {text}"))
        .lead(format!("Will this flight arrive more than 15 minutes late? {text}"))
        .badge(Tone::Good, "promoted")
        .fact("Rows", "52,111")
        .fact("Days", "61")
        .fact("Model", text)
        .top(banner(Tone::Good, "Passed: 5 of 5 rules", &["Log loss 0.412 is at most 0.45.".into(), text.into()]))
        .top(banner(Tone::Warning, "Not enough data for the comparison", &[]))
        .section(metrics(text))
        .section(tables(text))
        .section(curves(text))
        .section(
            Section::new("Use it")
                .block(steps(&[("Predict a file".into(), format!("gristmill predict --model {text} --input new.csv"))]))
                .block(details(
                    "What is behind this page",
                    true,
                    definitions(&[("Seed".into(), "42".into()), (text.into(), text.into())]),
                ))
                .block(list(&[text.into(), "second".into()]))
                .block(note(text)),
        )
        .footer(text)
}

fn metrics(text: &str) -> Section {
    let bar = |name: &str, value, low, high| MetricBar {
        name: name.into(),
        value,
        interval: Some((low, high)),
        note: text.into(),
    };
    Section::new("Metrics")
        .intro("Intervals resample days (95 %).")
        .block(
            MetricBars::unit(vec![
                bar("ROC AUC", 0.7012, 0.6718, 0.7294),
                bar("Average precision", 0.433, 0.391, 0.478),
            ])
            .render(),
        )
        .block(paragraph(text))
}

fn tables(text: &str) -> Section {
    let mut table = Table::new(&[
        ("Learner", Align::Left),
        ("Log loss", Align::Right),
        ("Trees", Align::Right),
        ("Share", Align::Right),
        ("Values", Align::Left),
        ("State", Align::Left),
    ])
    .caption(text);
    let row = |name: &str, loss, trees, share, tone, state: &str| {
        vec![
            TableCell::text(name),
            TableCell::decimal(loss, 4),
            TableCell::count(trees),
            TableCell::bar(share, 1.0, "62 %"),
            TableCell::sparkline(&[1, 4, 9, 12, 7, 3, 1]),
            TableCell::badge(tone, state),
        ]
    };
    table.push_strong(row("gradient boosting", 0.4121, 1_300, 0.62, Tone::Good, "best"));
    table.push(row(text, 0.4419, 12, 0.3, Tone::Neutral, text));
    table.push(row("k nearest", 0.69, 0, 0.08, Tone::Bad, "failed"));
    Section::new("Leaderboard").block(table.render())
}

fn line(name: &str, power: i32, markers: bool) -> Series {
    let points: Vec<(f64, f64)> =
        (0..=20).map(|n| f64::from(n) / 20.0).map(|x| (x, 1.0 - (1.0 - x).powi(power))).collect();
    let band = points.iter().map(|(_, y)| ((y - 0.05).max(0.0), (y + 0.05).min(1.0))).collect();
    Series { name: name.into(), points, band, markers }
}

fn curves(text: &str) -> Section {
    let lines = Lines {
        title: text.into(),
        x_label: "Round".into(),
        y_label: "Log loss".into(),
        series: (1..=4).map(|n| line(&format!("trial {n}"), n, false)).collect(),
        ..Lines::default()
    };
    let forest = Forest {
        title: "Difference to the champion".into(),
        x_label: "Log loss, lower is better".into(),
        reference: Some(0.0),
        rows: vec![
            ForestRow { label: "All".into(), value: -0.012, low: -0.02, high: -0.004, note: "61 days".into() },
            ForestRow { label: text.into(), value: 0.004, low: -0.01, high: 0.018, note: text.into() },
        ],
        ..Forest::default()
    };
    let labels = ["EWR", "JFK", text].map(String::from).to_vec();
    let shares = vec![("training".into(), vec![0.4, 0.35, 0.25]), (text.into(), vec![0.3, 0.35, 0.35])];
    let importance = HorizontalBars {
        title: "Drift per column".into(),
        x_label: "PSI".into(),
        items: vec![(text.into(), 0.62, Tone::Bad), ("temperature".into(), 0.07, Tone::Neutral)],
        marks: vec![Some(0.2), Some(0.21)],
        ..HorizontalBars::default()
    };
    Section::new("Curves")
        .row([
            Lines::roc("ROC", vec![line("candidate", 3, false), line(text, 2, false)]).render(),
            Lines::calibration("Calibration", vec![line("candidate", 1, true)]).render(),
            Bars::histogram(
                "Minutes late",
                "Minutes",
                &[-60.0, -30.0, 0.0, 30.0, 60.0],
                &[12_000, 40_100, 9_000, 2_400],
            )
            .render(),
            Bars { title: "Origin".into(), y_label: "Share".into(), labels, series: shares, ..Bars::default() }
                .render(),
        ])
        .block(lines.render())
        .block(importance.render())
        .block(forest.render())
        .block(scatter())
        .block(Lines { title: "Nothing".into(), ..Lines::default() }.render())
}

fn scatter() -> Markup {
    Scatter {
        title: "Residuals by predicted value".into(),
        x_label: "Predicted, minutes".into(),
        y_label: "Mean residual, minutes".into(),
        points: (0..10).map(|n| (f64::from(n) * 7.0, f64::from(n % 3) - 1.0)).collect(),
        intervals: (0..10).map(|n| (f64::from(n % 3) - 1.6, f64::from(n % 3) - 0.4)).collect(),
        guide: Some(0.0),
        ..Scatter::default()
    }
    .render()
}
