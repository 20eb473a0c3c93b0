//! Which columns an output column was made from; in doubt, more rather than fewer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor, Visit, Visitor,
};

use super::check::{Checked, table_name};
use super::order::Relation;

/// A column of a relation: its alias (or table) and its name.
pub(crate) type From = (String, String);

/// By output column, the columns it was made from. `columns` tells the columns of each table.
pub(crate) fn lineage(
    checked: &Checked,
    relations: &[Relation],
    columns: &BTreeMap<&str, Vec<String>>,
    outputs: &[String],
) -> BTreeMap<String, BTreeSet<From>> {
    let tracer = Tracer { relations, columns, everything: everything(checked, columns) };
    let mut traced: BTreeMap<String, BTreeSet<From>> = BTreeMap::new();
    if let SetExpr::Select(select) = checked.query.body.as_ref() {
        tracer.select(select, &mut traced);
    }
    outputs
        .iter()
        .map(|name| (name.clone(), traced.remove(name).unwrap_or_else(|| tracer.everything.clone())))
        .collect()
}

struct Tracer<'a> {
    relations: &'a [Relation],
    columns: &'a BTreeMap<&'a str, Vec<String>>,
    /// All columns that the query mentions anywhere, under their tables.
    everything: BTreeSet<From>,
}

impl Tracer<'_> {
    fn select(&self, select: &Select, traced: &mut BTreeMap<String, BTreeSet<From>>) {
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { expr, alias } => {
                    traced.entry(alias.value.clone()).or_default().extend(self.expression(expr));
                }
                SelectItem::UnnamedExpr(expr @ Expr::Identifier(name)) => {
                    traced.entry(name.value.clone()).or_default().extend(self.expression(expr));
                }
                SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(path)) => {
                    if let Some(name) = path.last() {
                        traced.entry(name.value.clone()).or_default().extend(self.expression(expr));
                    }
                }
                SelectItem::Wildcard(_) => {
                    self.relations.iter().filter(|r| r.visible).for_each(|relation| self.all_of(relation, traced));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    self.relations
                        .iter()
                        .filter(|relation| table_name(name) == Some(&relation.alias))
                        .for_each(|relation| self.all_of(relation, traced));
                }
                // Named by the engine; falls back to everything.
                _ => {}
            }
        }
    }

    fn all_of(&self, relation: &Relation, traced: &mut BTreeMap<String, BTreeSet<From>>) {
        let Some(columns) = relation.table.as_deref().and_then(|table| self.columns.get(table)) else { return };
        for column in columns {
            let from = (relation.alias.clone(), column.clone());
            traced.entry(column.clone()).or_default().insert(from.clone());
            // The engine's name of a column that two tables have.
            traced.entry(format!("{column}:{}", relation.alias)).or_default().insert(from);
        }
    }

    fn expression(&self, expr: &Expr) -> BTreeSet<From> {
        let mut used = Used::default();
        let _ = expr.visit(&mut used);
        if used.queries {
            return self.everything.clone();
        }
        used.paths.iter().flat_map(|(alias, column)| self.resolve(alias.as_deref(), column)).collect()
    }

    fn resolve(&self, alias: Option<&str>, column: &str) -> BTreeSet<From> {
        let mut found = BTreeSet::new();
        for relation in self.relations.iter().filter(|r| alias.is_none_or(|alias| alias == r.alias)) {
            match relation.table.as_deref().and_then(|table| self.columns.get(table)) {
                Some(columns) if columns.iter().any(|known| known == column) => {
                    found.insert((relation.alias.clone(), column.to_owned()));
                }
                Some(_) => {}
                // A subquery: whatever it and the rest mention.
                None => found.extend(self.everything.iter().cloned()),
            }
        }
        found
    }
}

#[derive(Default)]
struct Used {
    paths: Vec<(Option<String>, String)>,
    queries: bool,
}

impl Visitor for Used {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries = true;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.paths.push((None, name.value.clone())),
            Expr::CompoundIdentifier(path) => {
                if let [.., alias, name] = path.as_slice() {
                    self.paths.push((Some(alias.value.clone()), name.value.clone()));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Every column of every table in the query whose name is mentioned, or all of them if there is a
/// wildcard; named by table.
fn everything(checked: &Checked, columns: &BTreeMap<&str, Vec<String>>) -> BTreeSet<From> {
    #[derive(Default)]
    struct Finder {
        tables: BTreeSet<String>,
        names: BTreeSet<String>,
        wildcard: bool,
    }
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            self.wildcard |= select
                .projection
                .iter()
                .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, .. } = factor {
                self.tables.extend(table_name(name).map(String::from));
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(name) => _ = self.names.insert(name.value.clone()),
                Expr::CompoundIdentifier(path) => self.names.extend(path.last().map(|name| name.value.clone())),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut finder = Finder::default();
    let _ = checked.query.visit(&mut finder);
    let mut found = BTreeSet::new();
    for table in &finder.tables {
        for column in columns.get(table.as_str()).into_iter().flatten() {
            if finder.wildcard || finder.names.contains(column) {
                found.insert((table.clone(), column.clone()));
            }
        }
    }
    found
}
