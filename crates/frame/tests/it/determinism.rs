//! Equal jobs give equal bytes, at any number of threads.

use gristmill_frame::{Integration, Join, Step};
use gristmill_types::Digest;

use super::bench::{Bench, as_of, derive, join, sql, steps};

/// 150,000 rows with repeated keys, floats and nulls; no generator of random numbers needed.
fn big() -> Bench {
    let mut left = String::from("id,g,h,x,at\n");
    let mut state = 1_u64;
    for id in 0..150_000_u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (g, h, x) = ((state >> 33) % 97, (state >> 40) % 1_000, (state >> 20) % 1_000_003);
        let x = if x % 50 == 0 { "NA".into() } else { format!("{}.{:03}", x / 7, x % 1_000) };
        left.push_str(&format!("{id},g{g},{h},{x},2024-01-{:02}T{:02}:00:00Z\n", 1 + id % 28, h % 24));
    }
    let mut right = String::from("h,y,at\n");
    (0..1_000_u64)
        .for_each(|h| right.push_str(&format!("{h},{}.5,2024-01-{:02}T00:00:00Z\n", h * h % 7_919, 1 + h % 28)));
    Bench::new().csv("l", &left).csv("r", &right).in_parquet().at("r", "at", 60)
}

#[test]
fn every_kind_of_query_gives_the_same_bytes_at_1_2_and_4_threads() {
    let mut bench = big();
    let mut as_of_join = as_of("r", &[("h", "h")], None);
    as_of_join.min_matched = Some(0.01);
    as_of_join.prefix = "r_".into();
    let mut last = steps("l", vec![Step::AsOf(as_of_join), derive(&[("z", "x * 2 + id")])]);
    last.known_at = Some("at".into());
    last.filter = Some("x > 100".into());
    let take = Join { columns: vec!["y".into()], ..join("r", &[("h", "h")]) };
    let mut plain = steps("l", vec![Step::Join(take)]);
    plain.columns = vec!["id".into(), "g".into(), "y".into()];
    let kinds: Vec<(&str, Integration)> = vec![
        ("filter", sql("l", "SELECT id, g, x FROM input WHERE x > 1000")),
        ("sql join", sql("l", "SELECT i.id, r.y, i.x / r.y AS q FROM input i LEFT JOIN r ON i.h = r.h")),
        (
            "float aggregates",
            sql("l", "SELECT g, SUM(x) AS s, AVG(x) AS m, STDDEV(x) AS d, MEDIAN(x) AS q FROM l GROUP BY g"),
        ),
        ("aggregate of all", sql("l", "SELECT SUM(x) AS s, AVG(x) AS m, VARIANCE(x) AS v, CORR(x, h) AS c FROM l")),
        ("join then group", sql("l", "SELECT l.g, SUM(l.x * r.y) AS s FROM l JOIN r ON l.h = r.h GROUP BY l.g")),
        ("distinct", sql("l", "SELECT DISTINCT g, h FROM l")),
        ("union", sql("l", "SELECT h FROM l UNION SELECT h FROM r")),
        ("window", sql("l", "SELECT id, AVG(x) OVER (PARTITION BY g) AS m FROM input")),
        ("order and limit", sql("l", "SELECT id, g, x FROM l ORDER BY h, g LIMIT 5000")),
        ("join", plain),
        ("as-of, derive, filter", last),
    ];
    for (kind, integration) in kinds {
        let mut digests = Vec::new();
        for threads in [1, 2, 4, 1, 2, 4, 1, 2, 4] {
            bench.bounds.threads = threads;
            let report = bench.run(integration.clone()).unwrap_or_else(|error| panic!("{kind}: {error}")).0.report;
            digests.push((Digest::of(&std::fs::read(bench.output()).unwrap()), report));
        }
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{kind}");
    }
}
