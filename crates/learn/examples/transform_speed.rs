//! Times recipe, fit, unseen rows and profile on a made table as wide and long as a real one, and prints a digest of
//! each result: `cargo run --release -p gristmill-learn --example transform_speed [rows] [threads]`.

use std::time::Instant;

use gristmill_learn::{FittedTransform, Folds, Recipe, RecipeOptions};
use gristmill_stats::profile::{ProfileOptions, profile};
use gristmill_stats::random::derive_seed;
use gristmill_types::{Column, Columns, Digest, Text, Values};

const DAY: i64 = 86_400_000_000;

fn draw(column: &str, row: usize) -> u64 {
    derive_seed(7, column, row as u64)
}

fn text(name: &str, rows: usize, distinct: u64, null_every: u64) -> Column {
    let values = (0..distinct).map(|value| format!("{name}-{value}")).collect();
    // Products of two draws favour low numbers, as categories of real tables do.
    let code = |row: usize| ((draw(name, row) % distinct) * ((draw(name, row) >> 32) % distinct) / distinct) as u32;
    let text = Text { codes: (0..rows).map(code).collect(), values };
    Column::with_valid(name, Values::Text(text), valid(name, rows, null_every))
}

fn valid(name: &str, rows: usize, null_every: u64) -> Vec<bool> {
    (0..rows).map(|row| null_every == 0 || !(draw(name, row) >> 16).is_multiple_of(null_every)).collect()
}

fn float(name: &str, rows: usize, steps: u64, null_every: u64) -> Column {
    let values = (0..rows).map(|row| (draw(name, row) % steps) as f64 / 10.0 - 20.0).collect();
    Column::with_valid(name, Values::Float(values), valid(name, rows, null_every))
}

fn int(name: &str, rows: usize, distinct: u64, null_every: u64) -> Column {
    let values = (0..rows).map(|row| (draw(name, row) % distinct) as i64).collect();
    Column::with_valid(name, Values::Int(values), valid(name, rows, null_every))
}

fn moment(name: &str, rows: usize, shift: i64) -> Column {
    let at = |row: usize| {
        let day = row as i64 * 365 / rows as i64;
        1_357_000_000_000_000 + day * DAY + (draw("minute", row) % 1_080) as i64 * 60_000_000 + shift
    };
    let micros = (0..rows).map(at).collect();
    Column::new(name, Values::Timestamp { zone: Some("America/New_York".into()), micros })
}

fn made(rows: usize) -> Columns {
    let mut columns = vec![moment("departs", rows, 0), moment("known", rows, -7_200_000_000)];
    for (n, distinct) in [3, 4, 16, 16, 30, 100, 105, 130, 900, 4_000].into_iter().enumerate() {
        columns.push(text(&format!("text{n}"), rows, distinct, if n % 3 == 2 { 7 } else { 0 }));
    }
    for n in 0..16 {
        let steps = [40, 500, 3_000, 1 << 40][n % 4];
        columns.push(float(&format!("float{n}"), rows, steps, [0, 9, 40, 1_000][n / 4]));
    }
    for n in 0..18 {
        let distinct = [5, 31, 60, 1_440, 2_400, 1 << 40][n % 6];
        columns.push(int(&format!("int{n}"), rows, distinct, [0, 50, 0][n / 6]));
    }
    let late = (0..rows).map(|row| draw("late", row).is_multiple_of(4)).collect();
    columns.push(Column::new("late", Values::Bool(late)));
    let key = |row: usize| i64::try_from(draw("key", row) >> 1).unwrap_or(i64::MAX);
    columns.push(Column::new("_row_key", Values::Int((0..rows).map(key).collect())));
    let unit: Vec<u32> = (0..rows).map(|row| (row * 365 / rows) as u32).collect();
    let values = (0..365).map(|day| format!("day {day}")).collect();
    columns.push(Column::new("_unit", Values::Text(Text { codes: unit, values })));
    Columns::new(columns).unwrap_or_default()
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = run();
    println!("{what:12} {:7.1} ms", start.elapsed().as_secs_f64() * 1e3);
    value
}

fn run(table: &Columns) -> Result<(), Box<dyn std::error::Error>> {
    let rows = table.rows();
    let parts = timed("take", || {
        [0..rows * 2 / 3, rows * 2 / 3..rows * 5 / 6].map(|range| table.take(&range.collect::<Vec<usize>>()))
    });
    let [train, validation] = &parts;
    let mut options = RecipeOptions::for_target("late");
    options.split_time = Some("departs".into());
    let recipe = timed("recipe", || Recipe::automatic(train, &options))?;
    let folds = Folds::Time { column: "departs".into() };
    let fitted = timed("fit", || FittedTransform::fit(&recipe, train, &folds))?;
    let unseen = timed("unseen", || fitted.unseen(&recipe.target, validation))?;
    let bytes = timed("bytes", || fitted.matrix.to_bytes())?;
    let profile = timed("profile", || profile(table, &ProfileOptions::default()));
    println!("recipe  {}", Digest::of(&recipe.to_json()?));
    println!("model   {}", Digest::of(format!("{:?}", fitted.to_model()).as_bytes()));
    println!("train   {}", Digest::of(&bytes));
    println!("unseen  {}", Digest::of(&unseen.to_bytes()?));
    println!("profile {}", Digest::of(&serde_json::to_vec(&profile)?));
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument =
        |at: usize, default: usize| std::env::args().nth(at).map_or(Ok(default), |text| text.parse::<usize>());
    let (rows, threads) = (argument(1, 330_000)?, argument(2, 2)?);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let table = timed("made", || made(rows));
    run(&table)?;
    // Again, when the allocator's pages are warm.
    run(&table)
}
