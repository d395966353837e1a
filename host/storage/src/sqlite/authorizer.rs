//! A component's rights on SQLite, asked by the database itself for everything a statement
//! touches while it is prepared.
//!
//! SQLite asks for the consequences of foreign keys in the same way as for what the statement
//! says, and does not tell them apart. So the first table a statement writes is taken for its
//! target (SQLite asks for it before anything that follows from it), and what follows from the
//! target's foreign keys is allowed along with it: the columns that take part in them may be
//! read, and the tables a cascade reaches be changed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use windlass_engine::StorageGrant;

use crate::statement;

/// How a table may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    Insert,
    Update,
    Delete,
}

/// What a write of one table brings with it.
#[derive(Debug, Default)]
pub(crate) struct Consequences {
    /// Columns that foreign keys compare: table and column.
    pub(crate) reads: HashSet<(String, String)>,
    /// Tables that a cascade changes.
    pub(crate) writes: HashSet<(String, Write)>,
}

/// The rights of one component. All names are in lower case.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    read: HashSet<String>,
    write: HashSet<String>,
    append: HashSet<String>,
    tables: HashSet<String>,
    consequences: HashMap<String, Consequences>,
}

impl Rights {
    pub(crate) fn new(
        grant: &StorageGrant,
        tables: HashSet<String>,
        consequences: HashMap<String, Consequences>,
    ) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect();
        Self {
            read: lower(&grant.read),
            write: lower(&grant.write),
            append: lower(&grant.append),
            tables,
            consequences,
        }
    }

    fn can_read(&self, table: &str) -> bool {
        self.read.contains(table) || self.write.contains(table) || self.append.contains(table)
    }

    fn can_write(&self, table: &str, write: Write) -> bool {
        self.write.contains(table) || (write == Write::Insert && self.append.contains(table))
    }
}

/// What is known of the statement being prepared.
#[derive(Default)]
struct Statement {
    /// The table it writes.
    target: Option<String>,
    /// Why it was refused.
    refusal: Option<String>,
    /// Set while the host prepares a statement of its own on a component's connection.
    is_host: bool,
}

/// The authorizer of one connection.
#[derive(Clone)]
pub(crate) struct Authorizer {
    rights: Arc<Rights>,
    statement: Arc<Mutex<Statement>>,
}

impl Authorizer {
    pub(crate) fn new(rights: Arc<Rights>) -> Self {
        Self { rights, statement: Arc::default() }
    }

    /// Before a component's statement is prepared or run: SQLite prepares one anew by itself
    /// when the schema changes.
    pub(crate) fn begin_statement(&self) {
        *self.lock() = Statement::default();
    }

    /// Lets the next statements pass: they are the host's.
    pub(crate) fn begin_host_statement(&self) {
        *self.lock() = Statement { is_host: true, ..Statement::default() };
    }

    /// Why the last statement was refused, if it was.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.lock().refusal.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Statement> {
        self.statement.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers SQLite.
    pub(crate) fn authorize(&self, context: &AuthContext<'_>) -> Authorization {
        let mut statement = self.lock();
        if statement.is_host {
            return Authorization::Allow;
        }
        match self.decide(&mut statement.target, context) {
            Ok(()) => Authorization::Allow,
            Err(refusal) => {
                statement.refusal.get_or_insert(refusal);
                Authorization::Deny
            }
        }
    }

    fn decide(&self, target: &mut Option<String>, context: &AuthContext<'_>) -> Result<(), String> {
        let in_main = matches!(context.database_name, None | Some("main"));
        match context.action {
            AuthAction::Select | AuthAction::Recursive => Ok(()),
            AuthAction::Read { table_name, column_name } if in_main => {
                self.decide_read(target.as_deref(), table_name, column_name)
            }
            AuthAction::Insert { table_name } if in_main => {
                self.decide_write(target, table_name, Write::Insert)
            }
            AuthAction::Update { table_name, .. } if in_main => {
                self.decide_write(target, table_name, Write::Update)
            }
            AuthAction::Delete { table_name } if in_main => {
                self.decide_write(target, table_name, Write::Delete)
            }
            AuthAction::Function { function_name } => {
                if statement::is_function(&function_name.to_lowercase()) {
                    Ok(())
                } else {
                    Err(format!("the function {function_name} is not available to components"))
                }
            }
            other => Err(format!("no component may do this: {other:?}")),
        }
    }

    fn decide_read(&self, target: Option<&str>, table: &str, column: &str) -> Result<(), String> {
        let table = table.to_lowercase();
        // A query named in WITH appears like a table of which no column is read.
        let is_named_query = column.is_empty() && !self.rights.tables.contains(&table);
        if self.rights.can_read(&table) || is_named_query {
            return Ok(());
        }
        let consequences = target.and_then(|target| self.rights.consequences.get(target));
        let compared = (table, column.to_lowercase());
        if consequences.is_some_and(|consequences| consequences.reads.contains(&compared)) {
            return Ok(());
        }
        Err(format!("the table {} is not granted for reading", compared.0))
    }

    fn decide_write(
        &self,
        target: &mut Option<String>,
        table: &str,
        write: Write,
    ) -> Result<(), String> {
        let table = table.to_lowercase();
        let first = target.get_or_insert_with(|| table.clone());
        if self.rights.can_write(&table, write) {
            return Ok(());
        }
        let consequences = self.rights.consequences.get(first);
        let follows = *first != table
            && consequences
                .is_some_and(|consequences| consequences.writes.contains(&(table.clone(), write)));
        if follows {
            return Ok(());
        }
        Err(format!("{write:?} on the table {table} is not granted"))
    }
}
