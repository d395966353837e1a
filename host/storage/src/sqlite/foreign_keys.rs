//! What a write of one table does to others through foreign keys, read from the schema.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::authorizer::{Consequences, Write};

/// One foreign key.
struct ForeignKey {
    child: String,
    parent: String,
    /// Pairs of the child's and the parent's column.
    columns: Vec<(String, String)>,
    on_update: Option<Write>,
    on_delete: Option<Write>,
}

/// The tables there are, in lower case, those that SQLite makes up included.
pub(crate) fn tables(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT lower(name) FROM pragma_table_list")?;
    let mut names: HashSet<String> =
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut modules = connection.prepare("SELECT lower(name) FROM pragma_module_list")?;
    for name in modules.query_map([], |row| row.get(0))? {
        names.insert(name?);
    }
    Ok(names)
}

/// What follows from a write, for each table that is part of a foreign key.
pub(crate) fn consequences(
    connection: &Connection,
) -> rusqlite::Result<HashMap<String, Consequences>> {
    let keys = foreign_keys(connection)?;
    let tables: HashSet<&String> = keys.iter().flat_map(|key| [&key.child, &key.parent]).collect();
    Ok(tables.into_iter().map(|table| (table.clone(), follow(table, &keys))).collect())
}

/// Follows cascades from one table as far as they reach.
fn follow(table: &str, keys: &[ForeignKey]) -> Consequences {
    let mut found = Consequences::default();
    let mut reached = vec![table];
    let mut seen: HashSet<&str> = HashSet::from([table]);
    while let Some(table) = reached.pop() {
        for key in keys.iter().filter(|key| key.child == table || key.parent == table) {
            for (child_column, parent_column) in &key.columns {
                found.reads.insert((key.child.clone(), child_column.clone()));
                found.reads.insert((key.parent.clone(), parent_column.clone()));
            }
            if key.parent != table {
                continue;
            }
            for write in [key.on_update, key.on_delete].into_iter().flatten() {
                found.writes.insert((key.child.clone(), write));
                if seen.insert(&key.child) {
                    reached.push(&key.child);
                }
            }
        }
    }
    found
}

fn foreign_keys(connection: &Connection) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut statement = connection.prepare(
        "WITH k AS (SELECT t.name AS child, k.* FROM sqlite_schema t, \
         pragma_foreign_key_list(t.name) k WHERE t.type = 'table') \
         SELECT lower(k.child), k.id, lower(k.\"table\"), lower(k.\"from\"), \
         lower(COALESCE(k.\"to\", (SELECT p.name FROM pragma_table_info(k.\"table\") p \
         WHERE p.pk = k.seq + 1), 'rowid')), k.on_update, k.on_delete FROM k \
         ORDER BY k.child, k.id, k.seq",
    )?;
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let child: String = row.get(0)?;
        let id: i64 = row.get(1)?;
        let columns = (row.get(3)?, row.get(4)?);
        match keys.last_mut() {
            Some((last, key)) if *last == id && key.child == child => key.columns.push(columns),
            _ => {
                let (on_update, on_delete): (String, String) = (row.get(5)?, row.get(6)?);
                let key = ForeignKey {
                    child,
                    parent: row.get(2)?,
                    columns: vec![columns],
                    on_update: change(&on_update).map(|_| Write::Update),
                    on_delete: change(&on_delete),
                };
                keys.push((id, key));
            }
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// What an action does to the child's row.
fn change(action: &str) -> Option<Write> {
    match action {
        "CASCADE" => Some(Write::Delete),
        "SET NULL" | "SET DEFAULT" => Some(Write::Update),
        _ => None,
    }
}
