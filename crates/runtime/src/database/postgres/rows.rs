//! Values in PostgreSQL's types, and back.

use std::borrow::Cow;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Column as _, Postgres, Row as _, TypeInfo as _, ValueRef as _};

use crate::database::sql::Dialect;
use crate::database::value::{Kind, Row, Value};
use crate::database::{DatabaseError, Sql};

pub(super) fn bind(sql: &Sql, values: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    values.into_iter().fold(sqlx::query(sql.safe(Dialect::Postgres)), |query, value| match value {
        // A null says of what: the server refuses an integer's for a text.
        Value::Null(Kind::Int) => query.bind(None::<i64>),
        Value::Null(Kind::Float) => query.bind(None::<f64>),
        Value::Null(Kind::Text) => query.bind(None::<String>),
        Value::Null(Kind::Bytes) => query.bind(None::<Vec<u8>>),
        Value::Int(value) => query.bind(value),
        Value::Float(value) => query.bind(value),
        Value::Text(value) => query.bind(storable(value)),
        Value::Bytes(value) => query.bind(value),
    })
}

/// PostgreSQL's texts cannot hold a zero byte; the character that stands for what cannot be shown can.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

pub(super) fn read(row: &PgRow) -> Result<Row, DatabaseError> {
    let names = row.columns().iter().map(|column| column.name().to_owned()).collect();
    let values = (0..row.columns().len()).map(|at| read_value(row, at)).collect::<Result<_, _>>()?;
    Ok(Row::new(names, values))
}

fn read_value(row: &PgRow, at: usize) -> Result<Value, DatabaseError> {
    let raw = row.try_get_raw(at)?;
    let kind: Cow<'_, _> = raw.type_info();
    let name = kind.name().to_owned();
    if raw.is_null() {
        // A null that was read is never bound again, so its type does not matter.
        return Ok(Value::Null(Kind::Text));
    }
    Ok(match name.as_str() {
        "INT8" => Value::Int(row.try_get_unchecked(at)?),
        "INT4" => Value::Int(row.try_get_unchecked::<i32, _>(at)?.into()),
        "INT2" => Value::Int(row.try_get_unchecked::<i16, _>(at)?.into()),
        "BOOL" => Value::Int(row.try_get_unchecked::<bool, _>(at)?.into()),
        "FLOAT8" => Value::Float(row.try_get_unchecked(at)?),
        "FLOAT4" => Value::Float(row.try_get_unchecked::<f32, _>(at)?.into()),
        "BYTEA" => Value::Bytes(row.try_get_unchecked(at)?),
        "TEXT" | "VARCHAR" | "NAME" => Value::Text(row.try_get_unchecked(at)?),
        // Functions that only do something, such as a notification.
        "VOID" => Value::Null(Kind::Text),
        _ => {
            let column = row.columns().get(at).map(|column| column.name().to_owned()).unwrap_or_default();
            return Err(DatabaseError::Value { column, expected: "an integer, a float, text or bytes" });
        }
    })
}
