//! Dates of zoned timestamps: the engine's own cast takes the day in UTC, whatever the column's zone,
//! so `CAST(t AS DATE)` runs as a function that takes the day where the column says it is.

use std::ops::ControlFlow;

use chrono::{DateTime, Offset as _, TimeZone as _};
use polars::prelude::{
    BaseColumnUdf, Column, DataType, Field, Int32Chunked, IntoColumn as _, IntoSeries as _, NewChunkedArray as _,
    PolarsError, PolarsResult, TimeUnit, UserDefinedFunction,
};
use polars::sql::FunctionRegistry;
use sqlparser::ast::{
    DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Query, VisitMut, VisitorMut,
};

/// The function's name in SQL.
const LOCAL_DATE: &str = "local_date";
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Puts the function in the place of every cast to a date.
pub(crate) fn use_local_dates(query: &mut Query) {
    struct Rewriter;
    impl VisitorMut for Rewriter {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Cast { data_type: SqlType::Date, expr: inner, format: None, .. } = expr {
                let inner = std::mem::replace(inner.as_mut(), Expr::Identifier(Ident::new("")));
                *expr = call(inner);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(query, &mut Rewriter);
}

fn call(argument: Expr) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(LOCAL_DATE)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The functions that queries may call besides the engine's own.
pub(crate) struct Functions;

impl FunctionRegistry for Functions {
    fn register(&mut self, name: &str, _: UserDefinedFunction) -> PolarsResult<()> {
        Err(PolarsError::SQLInterface(format!("function {name} cannot be registered").into()))
    }

    fn get_udf(&self, name: &str) -> PolarsResult<Option<UserDefinedFunction>> {
        if name != LOCAL_DATE {
            return Ok(None);
        }
        let output = |_: &polars::prelude::Schema, fields: &[Field]| match fields {
            [one] => Ok(Field::new(one.name().clone(), DataType::Date)),
            _ => Err(PolarsError::SQLSyntax("local_date takes one argument".into())),
        };
        let compute = |columns: &mut [Column]| match columns {
            [one] => local_date(one),
            _ => Err(PolarsError::SQLSyntax("local_date takes one argument".into())),
        };
        Ok(Some(UserDefinedFunction::new(LOCAL_DATE.into(), BaseColumnUdf::new(compute, output))))
    }

    fn contains(&self, name: &str) -> bool {
        name == LOCAL_DATE
    }
}

fn local_date(column: &Column) -> PolarsResult<Column> {
    let DataType::Datetime(_, Some(zone)) = column.dtype() else { return column.strict_cast(&DataType::Date) };
    // All tables here hold microseconds; another unit can only come from a literal.
    let zoned = column.cast(&DataType::Datetime(TimeUnit::Microseconds, Some(zone.clone())))?;
    let zone = zone.to_chrono()?;
    let day = |micros: i64| {
        let utc = DateTime::from_timestamp_micros(micros)?.naive_utc();
        let offset = i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc());
        i32::try_from((micros + offset * 1_000_000).div_euclid(MICROS_PER_DAY)).ok()
    };
    let instants = zoned.as_materialized_series().datetime()?.physical();
    let days = Int32Chunked::from_iter_options(column.name().clone(), instants.iter().map(|time| time.and_then(day)));
    Ok(days.into_date().into_series().into_column())
}
