//! Decisions of the automatic recipe, and what fitting makes of them.

use gristmill_learn::{BlockKind, FittedTransform, Folds, Override, Part, Recipe, RecipeOptions, Treatment};
use gristmill_types::{Column, Columns, Values};

use crate::support::{Draws, table};

const HOUR: i64 = 3_600_000_000;

fn mixed(days: i64) -> Columns {
    let rows = 600;
    let mut draws = Draws(5);
    let texts = |prefix: &str, n: usize, draws: &mut Draws| -> Vec<String> {
        (0..rows).map(|_| format!("{prefix}{}", draws.below(n))).collect()
    };
    let city = texts("c", 40, &mut draws);
    let kind = texts("k", 3, &mut draws);
    let names: Vec<String> = (0..rows).map(|row| format!("passenger {row}")).collect();
    let step = days * 24 * HOUR / rows as i64;
    let micros: Vec<i64> = (0..rows as i64).map(|row| 1_356_998_400_000_000 + row * step).collect();
    let text = |name: &str, values: &[String]| Column::text(name, values.iter().map(|v| Some(v.as_str())));
    Columns::new(vec![
        Column::int("row", (0..rows as i64).map(Some)),
        text("city", &city),
        text("kind", &kind),
        text("name", &names),
        Column::float("speed", (0..rows).map(|row| (row % 7 != 0).then(|| draws.uniform()))),
        Column::int("seats", (0..rows as i64).map(|row| Some(row % 4))),
        Column::float("nothing", (0..rows).map(|_| None)),
        Column::int("same", (0..rows).map(|_| Some(4))),
        Column::new("when", Values::Timestamp { zone: Some("America/New_York".into()), micros }),
        Column::new("late", Values::Bool((0..rows).map(|row| row % 3 == 0).collect())),
        Column::int("_row_key", (0..rows as i64).map(|row| Some(row * 31))),
    ])
    .unwrap()
}

fn automatic(days: i64) -> Recipe {
    let mut options = RecipeOptions::for_target("late");
    options.split_time = Some("when".into());
    Recipe::automatic(&mixed(days), &options).unwrap()
}

fn treatment<'a>(recipe: &'a Recipe, column: &str) -> &'a Treatment {
    &recipe.columns.iter().find(|plan| plan.column == column).unwrap().treatment
}

#[test]
fn every_column_has_a_treatment_and_a_reason() {
    let recipe = automatic(300);
    for dropped in ["row", "name", "nothing", "same"] {
        assert_eq!(treatment(&recipe, dropped), &Treatment::Drop, "{dropped}");
    }
    assert!(recipe.columns.iter().all(|plan| !plan.why.is_empty() && !plan.what.is_empty()));
    assert!(recipe.columns.iter().all(|plan| plan.column != "_row_key" && plan.column != "late"));
    assert_eq!(treatment(&recipe, "speed"), &Treatment::Number { indicator: true });
    assert_eq!(treatment(&recipe, "seats"), &Treatment::FewNumbers { indicator: false });
    // 40 values: ids and indicators say all that a target encoding would.
    assert!(matches!(treatment(&recipe, "city"), Treatment::Category { target_encoding: false, one_hot: true, .. }));
    assert!(matches!(treatment(&recipe, "kind"), Treatment::Category { target_encoding: false, one_hot: true, .. }));
    assert_eq!(Recipe::from_json(&recipe.to_json().unwrap()).unwrap(), recipe);
}

#[test]
fn seasons_need_two_years() {
    let short = automatic(300);
    let Treatment::DateParts { parts, zone } = treatment(&short, "when") else { panic!("not date parts") };
    assert_eq!(zone.as_deref(), Some("America/New_York"));
    for part in [Part::Month, Part::DayOfYear, Part::Year] {
        assert!(!parts.contains(&part), "{part:?}");
    }
    let why = &short.columns.iter().find(|plan| plan.column == "when").unwrap().why;
    assert!(why.contains("left out") && why.contains("299 days"), "{why}");
    let Treatment::DateParts { parts, .. } = treatment(&automatic(800), "when").clone() else { panic!() };
    assert!(parts.contains(&Part::Month) && !parts.contains(&Part::Year));
}

#[test]
fn wall_clock_needs_a_zone() {
    let table = Columns::new(vec![
        Column::new("at", Values::Timestamp { zone: None, micros: (0..100).map(|i| i * HOUR).collect() }),
        Column::new("y", Values::Bool((0..100).map(|i| i % 3 == 0).collect())),
    ])
    .unwrap();
    let mut options = RecipeOptions::for_target("y");
    let error = Recipe::automatic(&table, &options).unwrap_err().to_string();
    assert!(error.contains("`at`") && error.contains("declare the zone"), "{error}");
    options.zones.insert("at".into(), "Europe/Rome".into());
    assert!(Recipe::automatic(&table, &options).is_ok());
}

#[test]
fn options_name_columns_that_exist() {
    let mut options = RecipeOptions::for_target("late");
    options.exclude = vec!["ctiy".into()];
    let error = Recipe::automatic(&mixed(10), &options).unwrap_err().to_string();
    assert!(error.contains("`ctiy`") && error.contains("`city`"), "{error}");
    let error = Recipe::automatic(&mixed(10), &RecipeOptions::for_target("lat")).unwrap_err().to_string();
    assert!(error.contains("`lat`") && error.contains("no such column"), "{error}");
}

#[test]
fn the_training_matrix_is_what_unseen_rows_get_but_for_cross_fitting() {
    let rows = mixed(300);
    let mut options = RecipeOptions::for_target("late");
    options.split_time = Some("when".into());
    options.overrides.insert("city".into(), Override::TargetEncoding);
    let recipe = Recipe::automatic(&rows, &options).unwrap();
    let fitted = FittedTransform::fit(&recipe, &rows, &Folds::Time { column: "when".into() }).unwrap();
    let unseen = fitted.unseen(&recipe.target, &rows).unwrap();
    fitted.matrix.same_shape(&unseen).unwrap();
    let mut differing = Vec::new();
    for (a, b) in fitted.matrix.numeric.iter().zip(&unseen.numeric) {
        let same =
            a.values.iter().zip(&b.values).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
        if !same {
            differing.push(a.name.as_str());
        }
    }
    assert_eq!(differing, ["city: mean of late", "city: mean of late"]);
    assert_eq!(fitted.matrix.category, unseen.category);
    assert_eq!(fitted.matrix.keys[2], 62);
    let prepared = fitted.matrix.numeric_block(BlockKind::NumericPrepared);
    assert!(prepared.iter().all(|slot| slot.values.iter().all(|v| v.is_finite())));
    assert!(prepared.iter().any(|slot| slot.name == "speed is missing"));
}

#[test]
fn a_plain_table_of_numbers_needs_no_options() {
    let recipe = Recipe::automatic(&table("wine"), &RecipeOptions::for_target("target")).unwrap();
    assert_eq!(recipe.target.labels, ["0", "1", "2"]);
    assert_eq!(recipe.columns.len(), 13);
}
