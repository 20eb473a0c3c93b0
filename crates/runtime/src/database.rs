//! The database pool: one writer handle per SQLite file, migrations per stage.
