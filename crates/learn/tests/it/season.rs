//! Columns that tell the season of a short training period are found by what they hold.

use chrono::{Datelike, TimeZone, Timelike};
use gristmill_learn::{ColumnPlan, Override, Recipe, RecipeOptions, Treatment};
use gristmill_types::{Column, Columns, Values};

const HOUR: i64 = 3_600_000_000;

/// One row every two hours from 1 January 2013 in New York; calendar columns are local and not named after what they are.
fn events(days: i64) -> Columns {
    let zone = chrono_tz::America::New_York;
    let start = zone.with_ymd_and_hms(2013, 1, 1, 0, 0, 0).unwrap().timestamp_micros();
    let micros: Vec<i64> = (0..days * 12).map(|row| start + row * 2 * HOUR).collect();
    let local: Vec<_> = micros.iter().map(|at| zone.timestamp_micros(*at).unwrap()).collect();
    let int = |name: &str, of: &dyn Fn(&chrono::DateTime<chrono_tz::Tz>) -> u32| {
        Column::int(name, local.iter().map(|at| Some(i64::from(of(at)))))
    };
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let mut columns = vec![
        int("a_month", &|at| at.month()),
        int("a_quarter", &|at| at.month0() / 3),
        int("a_day_of_year", &|at| at.ordinal()),
        int("a_week", &|at| at.iso_week().week()),
        int("a_year", &|at| at.year() as u32),
        Column::text("a_name", local.iter().map(|at| months.get(at.month0() as usize).copied())),
        Column::float("a_point", local.iter().map(|at| (at.day() != 3).then(|| f64::from(at.month())))),
        int("day", &|at| at.day()),
        int("weekday", &|at| at.weekday().number_from_monday()),
        int("hour", &|at| at.hour()),
        int("hhmm", &|at| at.hour() * 100 + at.day() % 60),
        int("holiday", &|at| u32::from(at.ordinal().is_multiple_of(41))),
        int("seats", &|at| at.day() * 7 % 5 + at.hour() % 3),
        Column::int("degrees", local.iter().map(|at| Some(i64::from(at.ordinal() * 37 % 30)))),
        Column::new("late", Values::Bool((0..local.len()).map(|row| row % 3 == 0).collect())),
    ];
    columns.push(Column::new("when", Values::Timestamp { zone: Some("America/New_York".into()), micros }));
    Columns::new(columns).unwrap()
}

fn options() -> RecipeOptions {
    let mut options = RecipeOptions::for_target("late");
    options.split_time = Some("when".into());
    options
}

fn plans(days: i64, options: &RecipeOptions) -> Vec<ColumnPlan> {
    Recipe::automatic(&events(days), options).unwrap().columns
}

fn dropped(plans: &[ColumnPlan]) -> Vec<&str> {
    plans.iter().filter(|plan| plan.treatment == Treatment::Drop).map(|plan| plan.column.as_str()).collect()
}

const SEASONAL: [&str; 7] = ["a_month", "a_quarter", "a_day_of_year", "a_week", "a_year", "a_name", "a_point"];

#[test]
fn a_short_training_period_is_not_told_by_its_columns() {
    for days in [243, 400, 700] {
        let plans = plans(days, &options());
        assert_eq!(dropped(&plans), SEASONAL, "{days} days");
        let month = &plans[0].why;
        assert!(month.contains("each month of `when`") && month.contains("no season twice"), "{month}");
    }
}

#[test]
fn two_years_or_no_split_time_keep_them() {
    assert_eq!(dropped(&plans(800, &options())), Vec::<&str>::new());
    assert!(!dropped(&plans(243, &RecipeOptions::for_target("late"))).contains(&"a_month"));
}

#[test]
fn what_is_asked_for_is_kept_with_a_warning() {
    let mut asked = options();
    asked.include = ["a_month", "day", "when"].map(String::from).to_vec();
    let kept = plans(243, &asked);
    assert!(matches!(kept[0].treatment, Treatment::FewNumbers { .. }));
    assert!(kept[0].why.contains("warning") && !kept[7].why.contains("warning"), "{}", kept[0].why);
    let mut asked = options();
    asked.overrides.insert("a_week".into(), Override::Number);
    let kept = plans(243, &asked);
    assert!(matches!(kept[3].treatment, Treatment::Number { .. }) && kept[3].why.contains("warning"));
}
