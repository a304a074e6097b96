//! What a database holds before it is migrated, and what would be done to it. Reads the catalogue only.

use super::contract::{self, Column, ENUMS, PERSONAL_ACCOUNTS};
use super::{Refused, prepare};
use crate::migrations;
use sqlx::{Connection as _, PgConnection};
use std::collections::{BTreeMap, BTreeSet};

/// A column as it is.
struct Found {
    kind: String,
    not_null: bool,
    filled: bool,
}

type Tables = BTreeMap<String, BTreeMap<String, Found>>;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// There are shared tables already.
    pub existing: bool,
    /// What `migrate` would do, one line each; empty: nothing.
    pub todo: Vec<String>,
    /// `migrate --finish` was done.
    pub finished: bool,
}

/// Looks at a database. Nothing is changed and nobody waits for us.
pub async fn survey(conn: &mut PgConnection) -> Result<Survey, Refused> {
    let mut tx = conn.begin_with("begin isolation level repeatable read read only").await?;
    let tables = tables(&mut tx).await?;
    let labels = labels(&mut tx).await?;
    let mut wrong = Vec::new();
    if !tables.is_empty() {
        for (table, columns) in contract::tables() {
            match tables.get(table) {
                None if table == PERSONAL_ACCOUNTS => {}
                None => wrong.push(format!("table {table} is missing")),
                Some(found) => compare(table, &columns, found, &mut wrong),
            }
        }
        keys(&mut tx, &tables, &mut wrong).await?;
    }
    compare_labels(&labels, !tables.is_empty(), &mut wrong);
    if !wrong.is_empty() {
        return Err(Refused::Unrecognised(wrong));
    }
    let mut todo = Vec::new();
    if !tables.is_empty() {
        missing(&tables, &labels, &mut todo);
    }
    let applied = migrations::applied(&mut tx).await?;
    for statement in prepare::shared_indexes(&applied) {
        let name = prepare::index_name(statement);
        if !tables.is_empty() && !prepare::index_is_valid(&mut tx, name).await?.unwrap_or(false) {
            todo.push(format!("build index {name} concurrently"));
        }
    }
    for migration in crate::MIGRATOR.iter().filter(|migration| !applied.contains(&migration.version)) {
        todo.push(format!("apply migration {:04} {}", migration.version, migration.description));
    }
    let moving: bool =
        sqlx::query_scalar("select to_regclass('personal_telegram_moving') is not null").fetch_one(&mut *tx).await?;
    let finished = moving
        && sqlx::query_scalar("select exists (select from personal_telegram_moving where finished_at is not null)")
            .fetch_one(&mut *tx)
            .await?;
    tx.rollback().await?;
    Ok(Survey { existing: !tables.is_empty(), todo, finished })
}

async fn tables(conn: &mut PgConnection) -> Result<Tables, sqlx::Error> {
    let rows: Vec<(String, String, String, bool, bool)> = sqlx::query_as(
        "select t.name, a.attname::text, case when c.relkind = 'r' then format_type(a.atttypid, a.atttypmod) else 'no table' end, a.attnotnull,
                a.atthasdef or a.attidentity <> ''
           from unnest($1::text[]) as t(name)
           join pg_class c on c.oid = to_regclass(quote_ident(t.name))
           join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped",
    )
    .bind(contract::names())
    .fetch_all(conn)
    .await?;
    let mut tables = Tables::new();
    for (table, column, kind, not_null, filled) in rows {
        tables.entry(table).or_default().insert(column, Found { kind, not_null, filled });
    }
    Ok(tables)
}

/// Values of the enums that exist.
async fn labels(conn: &mut PgConnection) -> Result<BTreeMap<String, BTreeSet<String>>, sqlx::Error> {
    let names: Vec<String> = ENUMS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(
        "select t.name, e.enumlabel::text from unnest($1::text[]) as t(name)
           join pg_type y on y.oid = to_regtype(quote_ident(t.name)) left join pg_enum e on e.enumtypid = y.oid",
    )
    .bind(names)
    .fetch_all(conn)
    .await?;
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, label) in rows {
        labels.entry(name).or_default().extend(label);
    }
    Ok(labels)
}

fn compare(table: &str, columns: &[Column], found: &BTreeMap<String, Found>, wrong: &mut Vec<String>) {
    for column in columns {
        let name = column.name;
        match found.get(name) {
            None if column.recent => {}
            None => wrong.push(format!("column {table}.{name} is missing")),
            Some(found) => {
                if let Some(kind) = column.kind.filter(|kind| *kind != found.kind) {
                    wrong.push(format!("column {table}.{name} is {}, not {kind}", found.kind));
                }
                if found.not_null && !column.not_null {
                    wrong.push(format!("column {table}.{name} takes no nulls"));
                }
            }
        }
    }
    if found.get("id").is_some_and(|id| !id.filled) {
        wrong.push(format!("column {table}.id does not count by itself"));
    }
    let unknown = found.iter().filter(|(name, _)| columns.iter().all(|column| column.name != name.as_str()));
    for (name, _) in unknown.filter(|(_, column)| column.not_null && !column.filled) {
        wrong.push(format!("column {table}.{name} is unknown and must be filled"));
    }
}

fn compare_labels(labels: &BTreeMap<String, BTreeSet<String>>, existing: bool, wrong: &mut Vec<String>) {
    for (name, known) in ENUMS {
        let Some(found) = labels.get(*name) else {
            if existing && *name != "personaltelegramaccountstatus" {
                wrong.push(format!("type {name} is missing"));
            }
            continue;
        };
        for label in known.iter().filter(|label| !label.starts_with('+') && !found.contains(**label)) {
            wrong.push(format!("type {name} lacks the value «{label}»"));
        }
        for label in found.iter().filter(|label| known.iter().all(|known| known.trim_start_matches('+') != label.as_str())) {
            wrong.push(format!("type {name} has an unknown value «{label}»"));
        }
    }
}

/// Keys that our own tables and statements stand on.
async fn keys(conn: &mut PgConnection, tables: &Tables, wrong: &mut Vec<String>) -> Result<(), sqlx::Error> {
    let wanted = tables
        .keys()
        .map(|table| (table.as_str(), "id"))
        .chain(tables.contains_key("telegram_chats").then_some(("telegram_chats", "bot_id,chat_id")));
    for (table, columns) in wanted {
        let unique: bool = sqlx::query_scalar(
            "select exists (select from pg_index i
                             where i.indrelid = to_regclass(quote_ident($1)) and i.indisunique and i.indisvalid and i.indpred is null
                               and (select string_agg(a.attname, ',' order by a.attname) from pg_attribute a
                                     where a.attrelid = i.indrelid and a.attnum = any(i.indkey)) = $2)",
        )
        .bind(table)
        .bind(columns)
        .fetch_one(&mut *conn)
        .await?;
        if !unique {
            wrong.push(format!("table {table} is not unique by ({columns})"));
        }
    }
    Ok(())
}

/// What came with personal accounts and is not there yet.
fn missing(tables: &Tables, labels: &BTreeMap<String, BTreeSet<String>>, todo: &mut Vec<String>) {
    if !labels.contains_key("personaltelegramaccountstatus") {
        todo.push("create type personaltelegramaccountstatus".into());
    }
    for (name, known) in ENUMS {
        let recent = known.iter().filter_map(|label| label.strip_prefix('+'));
        for label in recent.filter(|label| labels.get(*name).is_some_and(|found| !found.contains(*label))) {
            todo.push(format!("add value {name}.{label}"));
        }
    }
    if !tables.contains_key(PERSONAL_ACCOUNTS) {
        todo.push(format!("create table {PERSONAL_ACCOUNTS}"));
    }
    for (table, columns) in contract::tables() {
        for column in columns.iter().filter(|column| column.recent) {
            if tables.get(table).is_some_and(|found| !found.contains_key(column.name)) {
                todo.push(format!("add column {table}.{}", column.name));
            }
        }
    }
}
