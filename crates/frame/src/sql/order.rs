//! A total order for every query, so that the same sources give the same rows in the same order.
//!
//! A plain SELECT is ordered by the row numbers of its tables (hidden columns), any other by all of
//! its columns; ORDER BY comes before that and LIMIT after it.

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinOperator, LimitClause, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
    Value,
};

use super::check::{Checked, Tables, has_aggregate, refused, table_name};
use crate::Error;

/// The hidden row number of a table.
pub(crate) const ROW: &str = "__row";

/// A query ready to run.
#[derive(Debug)]
pub(crate) struct Ordered {
    /// SQL text.
    pub sql: String,
    /// Tables of the outermost FROM, in order, each with its row number's hidden column if it has one.
    pub relations: Vec<Relation>,
    /// Sort keys of ORDER BY: column, descending, nulls last.
    pub order: Vec<(OrderKey, bool, bool)>,
    /// Rows to skip and to keep.
    pub limit: (usize, Option<usize>),
    /// Whether each output row is a combination of one row of each relation.
    pub plain: bool,
    /// Whether the outermost SELECT joins, and whether it has WHERE.
    pub joins: bool,
    /// See `joins`.
    pub filters: bool,
}

/// What ORDER BY sorts by.
#[derive(Debug)]
pub(crate) enum OrderKey {
    /// An output column or a hidden one.
    Named(String),
    /// The n-th output column, from 0.
    Nth(usize),
}

/// One table of FROM.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// Name in the query.
    pub alias: String,
    /// Registered table; none for a subquery.
    pub table: Option<String>,
    /// Whether its columns can occur in the output (not so for the right side of a semi-join).
    pub visible: bool,
    /// Hidden column with its row numbers.
    pub row: Option<String>,
}

/// Gives a checked query its order.
pub(crate) fn order(field: &str, checked: &Checked, tables: &Tables) -> Result<Ordered, Error> {
    let mut query = checked.query.clone();
    let limit = limit(field, &query)?;
    let kind = query.order_by.take().map(|order| order.kind);
    query.limit_clause = None;
    let mut ordered = Ordered {
        sql: String::new(),
        relations: Vec::new(),
        order: Vec::new(),
        limit,
        plain: false,
        joins: false,
        filters: false,
    };
    if let SetExpr::Select(select) = query.body.as_mut() {
        ordered.relations = relations(select, tables);
        ordered.joins = ordered.relations.len() > 1;
        ordered.filters = select.selection.is_some();
        ordered.plain = !checked.compares_rows && is_plain(select);
        if ordered.plain {
            number(select, &mut ordered.relations);
        } else {
            ordered.relations.iter_mut().for_each(|relation| relation.row = None);
        }
    }
    match kind {
        None => {}
        Some(OrderByKind::All(_)) => return Err(refused(field, "may not ORDER BY ALL: name the columns")),
        Some(OrderByKind::Expressions(expressions)) => {
            for expression in expressions {
                let descending = expression.options.asc == Some(false);
                let nulls_last = !expression.options.nulls_first.unwrap_or(descending);
                let key = order_key(field, &expression.expr, &mut query, checked.compares_rows, ordered.order.len())?;
                ordered.order.push((key, descending, nulls_last));
            }
        }
    }
    super::local::use_local_dates(&mut query);
    ordered.sql = query.to_string();
    Ok(ordered)
}

/// The sort key of one ORDER BY expression; anything but an output column becomes a hidden one.
fn order_key(
    field: &str,
    expr: &Expr,
    query: &mut Query,
    compares_rows: bool,
    index: usize,
) -> Result<OrderKey, Error> {
    if let Expr::Value(value) = expr
        && let Value::Number(text, _) = &value.value
    {
        let nth: usize = text.to_string().parse().unwrap_or(0);
        return nth
            .checked_sub(1)
            .map(OrderKey::Nth)
            .ok_or_else(|| refused(field, "counts columns from 1 in ORDER BY"));
    }
    let SetExpr::Select(select) = query.body.as_mut() else {
        return output_name(field, expr);
    };
    if let Expr::Identifier(name) = expr
        && select
            .projection
            .iter()
            .any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value == name.value))
    {
        return Ok(OrderKey::Named(name.value.clone()));
    }
    if compares_rows {
        return output_name(field, expr);
    }
    let hidden = format!("__order_{index}");
    select.projection.push(SelectItem::ExprWithAlias {
        expr: Expr::Nested(Box::new(expr.clone())),
        alias: Ident::with_quote('"', hidden.clone()),
    });
    Ok(OrderKey::Named(hidden))
}

fn output_name(field: &str, expr: &Expr) -> Result<OrderKey, Error> {
    match expr {
        Expr::Identifier(name) => Ok(OrderKey::Named(name.value.clone())),
        _ => Err(refused(field, "may only ORDER BY columns of its result after DISTINCT, UNION, EXCEPT and INTERSECT")),
    }
}

fn limit(field: &str, query: &Query) -> Result<(usize, Option<usize>), Error> {
    let number = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.to_string().parse().ok(),
            _ => None,
        },
        _ => None,
    };
    let wrong = || refused(field, "needs whole numbers in LIMIT and OFFSET");
    match &query.limit_clause {
        None => Ok((0, None)),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            let limit = limit.as_ref().map(|limit| number(limit).ok_or_else(wrong)).transpose()?;
            let offset = offset.as_ref().map(|offset| number(&offset.value).ok_or_else(wrong)).transpose()?;
            Ok((offset.unwrap_or(0), limit))
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            Ok((number(offset).ok_or_else(wrong)?, Some(number(limit).ok_or_else(wrong)?)))
        }
        Some(_) => Err(wrong()),
    }
}

fn is_plain(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(expressions, modifiers) => !expressions.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    !grouped
        && select.having.is_none()
        && !select.from.is_empty()
        && !select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => has_aggregate(expr),
            _ => false,
        })
}

fn relations(select: &Select, tables: &Tables) -> Vec<Relation> {
    let mut relations = Vec::new();
    for from in &select.from {
        add(&from.relation, true, tables, &mut relations);
        for join in &from.joins {
            let visible = !matches!(
                join.join_operator,
                JoinOperator::Semi(_) | JoinOperator::LeftSemi(_) | JoinOperator::Anti(_) | JoinOperator::LeftAnti(_)
            );
            add(&join.relation, visible, tables, &mut relations);
        }
    }
    relations
}

fn add(factor: &TableFactor, visible: bool, tables: &Tables, relations: &mut Vec<Relation>) {
    match factor {
        TableFactor::Table { name, alias, .. } => {
            let table = table_name(name).unwrap_or_default();
            let alias = alias.as_ref().map_or(table, |alias| &alias.name.value);
            relations.push(Relation {
                alias: alias.to_owned(),
                table: tables.contains(table).then(|| table.to_owned()),
                visible,
                row: None,
            });
        }
        TableFactor::Derived { alias, .. } => relations.push(Relation {
            alias: alias.as_ref().map_or_else(String::new, |alias| alias.name.value.clone()),
            table: None,
            visible,
            row: None,
        }),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            add(&table_with_joins.relation, visible, tables, relations);
            for join in &table_with_joins.joins {
                add(&join.relation, visible, tables, relations);
            }
        }
        _ => {}
    }
}

/// Adds the row numbers of all tables to the projection.
fn number(select: &mut Select, relations: &mut [Relation]) {
    for (index, relation) in relations.iter_mut().enumerate() {
        if relation.table.is_none() || !relation.visible {
            continue;
        }
        let hidden = format!("{ROW}_{index}");
        let path = vec![Ident::with_quote('"', relation.alias.clone()), Ident::with_quote('"', ROW)];
        select.projection.push(SelectItem::ExprWithAlias {
            expr: Expr::CompoundIdentifier(path),
            alias: Ident::with_quote('"', hidden.clone()),
        });
        relation.row = Some(hidden);
    }
}
