//! What SQL may do, and what it may not.

use super::bench::{Bench, derive, ints, sql, steps, texts};

fn bench() -> Bench {
    Bench::new().csv("a", "id,g,x\n3,p,30\n1,q,10\n2,p,20\n").csv("b", "id,y\n1,100\n2,200\n3,300\n")
}

fn refused(query: &str) -> String {
    bench().refusal(sql("a", query))
}

#[test]
fn only_one_select_over_registered_tables() {
    for (query, part) in [
        ("SELECT 1; SELECT 2", "must be one SELECT statement, and this is 2"),
        ("", "must be one SELECT statement, and this is 0"),
        ("DROP TABLE a", "`DROP` is not allowed"),
        ("CREATE TABLE c AS SELECT * FROM a", "`CREATE` is not allowed"),
        ("INSERT INTO a VALUES (1)", "`INSERT` is not allowed"),
        ("DELETE FROM a", "`DELETE` is not allowed"),
        ("TRUNCATE TABLE a", "`TRUNCATE` is not allowed"),
        ("COPY a TO 'x.csv'", "`COPY` is not allowed"),
        ("EXPLAIN SELECT * FROM a", "`EXPLAIN` is not allowed"),
        ("SHOW TABLES", "`SHOW` is not allowed"),
        ("SELECT * FROM read_csv('/etc/passwd')", "may not call the table function `read_csv`"),
        ("SELECT * FROM a WHERE id IN (SELECT x FROM read_parquet('s3://b/c'))", "table function `read_parquet`"),
        ("WITH c AS (SELECT * FROM scan_csv('x')) SELECT * FROM c", "table function `scan_csv`"),
        ("SELECT * FROM a UNION ALL SELECT * FROM read_ndjson('x')", "table function `read_ndjson`"),
        ("SELECT * FROM UNNEST([1,2]) AS t(x)", "may only read named tables"),
        ("SELECT * FROM '/etc/passwd'", "there is no table `/etc/passwd`"),
        ("SELECT * FROM public.a", "there is no table `public.a`"),
        ("SELECT * INTO c FROM a", "remove INTO"),
        ("SELECT * FROM a LIMIT 1", "LIMIT without ORDER BY"),
        ("SELECT * FROM (SELECT * FROM a ORDER BY id LIMIT 1) t", "LIMIT inside a subquery"),
        ("SELECT * FROM a NATURAL JOIN b", "NATURAL JOIN"),
        ("SELECT __row FROM a", "reserved"),
        ("WITH RECURSIVE c AS (SELECT 1 UNION ALL SELECT * FROM c) SELECT * FROM c", "WITH RECURSIVE"),
        ("WITH b AS (SELECT * FROM a) SELECT * FROM b", "the name of the table `b`"),
        ("SELECT * FROM a AS b", "the table name `b` as an alias"),
        ("SELECT * FROM a WHERE (", "is not understood"),
    ] {
        let message = refused(query);
        assert!(message.contains(part), "{query}: {message}");
        assert!(message.starts_with("integration.steps[0].sql: "), "{message}");
    }
    let long = format!("SELECT {} FROM a", vec!["1"; 40_000].join(","));
    assert!(refused(&long).contains("the limit is 65536 bytes"));
    let deep = format!("SELECT {}1{} FROM a", "(".repeat(500), ")".repeat(500));
    assert!(refused(&deep).contains("not understood"));
}

#[test]
fn unknown_names_get_a_suggestion() {
    let message = refused("SELECT * FROM aa");
    assert!(
        message.contains("there is no table `aa` (did you mean `a`?); tables here are `a`, `b`, `input`"),
        "{message}"
    );
    let message = bench().refusal(sql("a", "SELECT id, xx FROM input"));
    assert!(message.contains("there is no column `xx` (did you mean `x`?)"), "{message}");
    let message = bench().refusal(steps("a", vec![derive(&[("n", "idd + 1")])]));
    assert!(message.contains("there is no column `idd` (did you mean `id`?)"), "{message}");
}

#[test]
fn expressions_are_one_value_per_row() {
    for (expression, part) in [
        ("1, 2", "must be one expression"),
        ("SUM(x)", "must give one value per row"),
        ("x FROM a; DROP TABLE a", "must be one expression"),
        ("(SELECT MAX(y) FROM b)", "may not hold a subquery here"),
        ("x IN (SELECT id FROM b)", "may not hold a subquery here"),
    ] {
        let message = bench().refusal(steps("a", vec![derive(&[("n", expression)])]));
        assert!(message.contains(part), "{expression}: {message}");
    }
    let (_, columns) = bench()
        .run(steps("a", vec![derive(&[("n", "CASE WHEN x > 15 THEN x / 10 ELSE 0 END"), ("k", "7"), ("x", "x + 1")])]))
        .unwrap();
    assert_eq!(ints(&columns, "k"), [Some(7), Some(7), Some(7)]);
    assert_eq!(ints(&columns, "x"), [Some(31), Some(11), Some(21)]);
}

#[test]
fn rows_keep_the_order_of_their_source() {
    let (_, columns) = bench().run(sql("a", "SELECT id, x FROM input WHERE x >= 10")).unwrap();
    assert_eq!(ints(&columns, "id"), [Some(3), Some(1), Some(2)]);
    let (_, columns) = bench().run(sql("a", "SELECT i.*, b.y FROM input i JOIN b ON i.id = b.id")).unwrap();
    assert_eq!(ints(&columns, "y"), [Some(300), Some(100), Some(200)]);
    let (_, columns) = bench().run(sql("a", "SELECT g, SUM(x) AS s FROM a GROUP BY g")).unwrap();
    assert_eq!(texts(&columns, "g"), [Some("p".into()), Some("q".into())]);
    assert_eq!(ints(&columns, "s"), [Some(50), Some(10)]);
    let (_, columns) = bench().run(sql("a", "SELECT id FROM a UNION SELECT id FROM b")).unwrap();
    assert_eq!(ints(&columns, "id"), [Some(1), Some(2), Some(3)]);
}

#[test]
fn order_and_limit_mean_what_they_say() {
    let (_, columns) = bench().run(sql("a", "SELECT id, g FROM a ORDER BY g DESC, x LIMIT 2 OFFSET 1")).unwrap();
    assert_eq!(ints(&columns, "id"), [Some(2), Some(3)]);
    let (_, columns) = bench().run(sql("a", "SELECT id AS k, x * -1 AS z FROM a ORDER BY z LIMIT 1")).unwrap();
    assert_eq!(ints(&columns, "k"), [Some(3)]);
    let (_, columns) =
        bench().run(sql("a", "SELECT g, COUNT(*) AS n FROM a GROUP BY g ORDER BY COUNT(*) LIMIT 1")).unwrap();
    assert_eq!(texts(&columns, "g"), [Some("q".into())]);
    let (_, columns) = bench().run(sql("a", "SELECT DISTINCT g FROM a ORDER BY 1 DESC LIMIT 1")).unwrap();
    assert_eq!(texts(&columns, "g"), [Some("q".into())]);
}

#[test]
fn row_keys_follow_their_rows_through_sql() {
    let (_, whole) = bench().run(gristmill_frame::Integration::of("a")).unwrap();
    let (_, part) =
        bench().run(sql("a", "SELECT i.id, b.y FROM input i JOIN b ON i.id = b.id WHERE i.x > 10")).unwrap();
    let keys = ints(&whole, "_row_key");
    assert_eq!(ints(&part, "_row_key"), [keys[0], keys[2]]);
}

#[test]
fn subqueries_semi_joins_and_windows_run() {
    let queries = [
        "SELECT id FROM input WHERE id IN (SELECT id FROM b WHERE y > 150)",
        "WITH m AS (SELECT g, AVG(x) AS m FROM a GROUP BY g) SELECT i.id, m.m FROM input i LEFT JOIN m ON i.g = m.g",
        "SELECT id, ROW_NUMBER() OVER (PARTITION BY g ORDER BY x) AS n FROM input",
        "SELECT i.id FROM input i SEMI JOIN b ON i.id = b.id",
    ];
    for query in queries {
        let (outcome, _) = bench().run(sql("a", query)).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert!(outcome.report.rows >= 2, "{query}");
    }
    let message = refused("SELECT c.y, i.x FROM input i RIGHT JOIN (SELECT id + 1 AS id, y FROM b) c ON i.id = c.id");
    assert!(message.contains("makes rows that are no events"), "{message}");
}

#[test]
fn parts_of_a_time_are_local() {
    let bench = Bench::new().csv("t", "at\n2024-01-01T03:30:00Z\n2024-07-01T03:30:00Z\n").column(
        "t",
        "at",
        "timestamp[America/New_York]",
    );
    let query = "SELECT CAST(at AS DATE) AS day, CAST(CAST(at AS DATE) AS VARCHAR) AS text, at::date AS again, EXTRACT(hour FROM at) AS hour, EXTRACT(dow FROM at) AS dow FROM input";
    let (_, columns) = bench.run(sql("t", query)).unwrap();
    assert_eq!(texts(&columns, "text"), [Some("2023-12-31".into()), Some("2024-06-30".into())]);
    assert_eq!(columns.get("day").unwrap().values, columns.get("again").unwrap().values);
    assert_eq!(ints(&columns, "hour"), [Some(22), Some(23)]);
    assert_eq!(ints(&columns, "dow"), [Some(0), Some(0)]);
}
