//! What SQL may say: one SELECT over registered tables, nothing that reads or writes anything else.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement,
    TableFactor, Visit, Visitor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserOptions};
use sqlparser::tokenizer::Token;

use crate::{Bounds, Error};

/// Names that SQL may use.
#[derive(Debug, Clone)]
pub(crate) struct Tables(BTreeSet<String>);

impl Tables {
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(String::from).collect())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// A query that may run.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// The query.
    pub query: Query,
    /// Whether DISTINCT or a set operation occurs anywhere, so that a hidden column would change
    /// the meaning.
    pub compares_rows: bool,
}

fn parser<'a>(field: &str, sql: &'a str, bounds: &Bounds) -> Result<Parser<'a>, Error> {
    if sql.len() > bounds.sql_bytes {
        return Err(Error::Limit {
            what: format!("{field} is {} bytes long", sql.len()),
            limit: format!("{} bytes", bounds.sql_bytes),
            advice: "split the query into steps".into(),
        });
    }
    // The dialect and options of the engine's own parser, so that both read the same thing.
    Parser::new(&GenericDialect)
        .with_recursion_limit(64)
        .with_options(ParserOptions { trailing_commas: true, ..ParserOptions::default() })
        .try_with_sql(sql)
        .map_err(|error| refused(field, syntax(&error)))
}

fn syntax(error: &sqlparser::parser::ParserError) -> String {
    format!("is not understood: {}", crate::error::first_line(&error.to_string()))
}

pub(crate) fn refused(field: &str, problem: impl Into<String>) -> Error {
    Error::Sql { field: field.to_owned(), problem: problem.into() }
}

/// Checks one query.
pub(crate) fn check_query(field: &str, sql: &str, tables: &Tables, bounds: &Bounds) -> Result<Checked, Error> {
    let statements = parser(field, sql, bounds)?.parse_statements().map_err(|e| refused(field, syntax(&e)))?;
    let count = statements.len();
    let mut statements = statements.into_iter();
    let (Some(statement), None) = (statements.next(), statements.next()) else {
        return Err(refused(
            field,
            format!("must be one SELECT statement, and this is {count}: make each a step of its own"),
        ));
    };
    let Statement::Query(query) = statement else {
        let kind: String = statement.to_string().split_whitespace().next().unwrap_or("this").chars().take(20).collect();
        return Err(refused(field, format!("must be one SELECT statement: `{kind}` is not allowed")));
    };
    let mut visitor = Checker {
        field,
        tables,
        ctes: query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| cte.alias.name.value.clone()).collect(),
        depth: 0,
        compares_rows: false,
    };
    if let Some(shadow) = visitor.ctes.iter().find(|name| tables.contains(name)) {
        return Err(refused(
            field,
            format!("gives a WITH query the name of the table `{shadow}`: choose another name"),
        ));
    }
    match query.visit(&mut visitor) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => {
            let compares_rows = visitor.compares_rows;
            Ok(Checked { query: *query, compares_rows })
        }
    }
}

/// Checks one expression over the columns of `input`; answers it as it was understood.
pub(crate) fn check_expression(field: &str, expression: &str, bounds: &Bounds) -> Result<Expr, Error> {
    let mut parser = parser(field, expression, bounds)?;
    let parsed = parser.parse_expr().map_err(|error| refused(field, syntax(&error)))?;
    if parser.peek_token().token != Token::EOF {
        return Err(refused(
            field,
            format!("must be one expression; it goes on after `{parsed}` with `{}`", parser.peek_token()),
        ));
    }
    let tables = Tables::new([]);
    let mut visitor = Checker { field, tables: &tables, ctes: BTreeSet::new(), depth: 0, compares_rows: false };
    match parsed.visit(&mut visitor) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) if has_aggregate(&parsed) => {
            Err(refused(field, "must give one value per row: aggregates belong in a `sql` step"))
        }
        ControlFlow::Continue(()) => Ok(parsed),
    }
}

struct Checker<'a> {
    field: &'a str,
    tables: &'a Tables,
    ctes: BTreeSet<String>,
    depth: usize,
    compares_rows: bool,
}

impl Checker<'_> {
    fn stop(&self, problem: impl Into<String>) -> ControlFlow<Error> {
        ControlFlow::Break(refused(self.field, problem))
    }

    fn body(&mut self, body: &SetExpr) -> ControlFlow<Error> {
        match body {
            SetExpr::Select(_) | SetExpr::Query(_) => ControlFlow::Continue(()),
            SetExpr::SetOperation { left, right, .. } => {
                self.compares_rows = true;
                self.body(left)?;
                self.body(right)
            }
            SetExpr::Values(_) => self.stop("cannot use VALUES: put the values into a source file"),
            _ => self.stop("must only SELECT: INSERT, UPDATE, DELETE, MERGE and TABLE are not allowed"),
        }
    }
}

impl Visitor for Checker<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        self.depth += 1;
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            return self.stop("cannot use WITH RECURSIVE: it may never end");
        }
        if self.depth > 1 && query.with.is_some() {
            return self.stop("may use WITH only at its beginning");
        }
        if self.depth > 1 && query.limit_clause.is_some() {
            return self.stop(
                "has a LIMIT inside a subquery, which would keep rows by chance: put LIMIT with ORDER BY at the end",
            );
        }
        if query.limit_clause.is_some() && query.order_by.is_none() {
            return self.stop("has LIMIT without ORDER BY, which would keep rows by chance: say which rows come first");
        }
        if query.fetch.is_some() || !query.locks.is_empty() || !query.pipe_operators.is_empty() {
            return self.stop("may not use FETCH, FOR UPDATE or pipes: write LIMIT with ORDER BY");
        }
        if query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() {
            return self.stop("may not use FOR, SETTINGS or FORMAT");
        }
        self.body(&query.body)
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        if select.into.is_some() {
            return self.stop("may not write anywhere: remove INTO");
        }
        if select.top.is_some() || !select.lateral_views.is_empty() || !select.connect_by.is_empty() {
            return self.stop("may not use TOP, LATERAL VIEW or CONNECT BY");
        }
        self.compares_rows |= select.distinct.is_some();
        for join in select.from.iter().flat_map(|table| &table.joins) {
            if constraint(&join.join_operator).is_some_and(|c| matches!(c, JoinConstraint::Natural)) {
                return self.stop("may not use NATURAL JOIN: name the keys with ON or USING");
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } => self.stop(format!(
                "may not call the table function `{}`: declare the file as a source and use its name",
                short(&name.to_string())
            )),
            TableFactor::Table { name, args: None, sample: None, version: None, json_path: None, alias, .. } => {
                if let Some(alias) = alias
                    && (self.tables.contains(&alias.name.value) && table_name(name) != Some(alias.name.value.as_str()))
                {
                    return self
                        .stop(format!("uses the table name `{}` as an alias of another table", alias.name.value));
                }
                match table_name(name) {
                    Some(table) if self.tables.contains(table) || self.ctes.contains(table) => {
                        ControlFlow::Continue(())
                    }
                    _ => ControlFlow::Break(Error::unknown_table(
                        self.field,
                        &name.0.iter().map(part).collect::<Vec<_>>().join("."),
                        self.tables.0.iter().map(String::as_str),
                    )),
                }
            }
            TableFactor::Derived { lateral: false, sample: None, alias, .. } => {
                if alias.as_ref().is_some_and(|alias| self.tables.contains(&alias.name.value)) {
                    return self.stop("gives a subquery the name of a table: choose another alias");
                }
                ControlFlow::Continue(())
            }
            TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            _ => self.stop(
                "may only read named tables and subqueries: no table functions, UNNEST, LATERAL, PIVOT or samples",
            ),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        let names: &[Ident] = match expr {
            Expr::Identifier(name) => std::slice::from_ref(name),
            Expr::CompoundIdentifier(names) => names,
            Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                if matches!(name.as_str(), "unnest" | "explode" | "columns") {
                    return self.stop(format!("may not use {}: name the columns", name.to_uppercase()));
                }
                &[]
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } if self.depth == 0 => {
                return self.stop("may not hold a subquery here: use a `sql` step");
            }
            _ => &[],
        };
        if names.iter().any(|name| name.value.starts_with("__")) {
            return self.stop("may not use names that start with `__`: they are reserved");
        }
        ControlFlow::Continue(())
    }
}

fn part(part: &ObjectNamePart) -> String {
    part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone())
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The name of a table that is a single identifier.
pub(crate) fn table_name(name: &ObjectName) -> Option<&str> {
    match name.0.as_slice() {
        [only] => only.as_ident().map(|ident| ident.value.as_str()),
        _ => None,
    }
}

/// The condition of a join, if it has one.
pub(crate) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c)
        | JoinOperator::CrossJoin(c)
        | JoinOperator::Semi(c)
        | JoinOperator::LeftSemi(c)
        | JoinOperator::RightSemi(c)
        | JoinOperator::Anti(c)
        | JoinOperator::LeftAnti(c)
        | JoinOperator::RightAnti(c)
        | JoinOperator::StraightJoin(c) => Some(c),
        _ => None,
    }
}

const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "corr",
    "count",
    "covar",
    "covar_pop",
    "covar_samp",
    "first",
    "group_concat",
    "last",
    "listagg",
    "max",
    "median",
    "min",
    "quantile_cont",
    "quantile_disc",
    "stddev",
    "stddev_samp",
    "stdev",
    "stdev_samp",
    "string_agg",
    "sum",
    "total",
    "var",
    "var_samp",
    "variance",
];

/// Whether an aggregate without a window occurs outside subqueries.
pub(crate) fn has_aggregate(node: &impl Visit) -> bool {
    struct Finder {
        depth: usize,
    }
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function)
                    if self.depth == 0
                        && function.over.is_none()
                        && AGGREGATES.contains(&function.name.to_string().to_lowercase().as_str()) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    node.visit(&mut Finder { depth: 0 }).is_break()
}
