//! Looks a component's statement over before a database sees it.
//!
//! The database keeps the rights; this keeps out what a database has no right for: several
//! statements in one text, session settings reached through functions, `REPLACE` (which deletes
//! without asking for the right to), and spellings that only one of the databases knows. Where
//! the two would read a text differently, it is refused rather than guessed at.

use crate::Error;

/// The longest statement text.
const TEXT_BYTES: usize = 65_536;

/// What a statement may begin with.
const VERBS: &[&str] = &["select", "insert", "update", "delete", "with", "values"];

/// Functions a component may call, on either database.
const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "cast",
    "coalesce",
    "count",
    "cume_dist",
    "dense_rank",
    "first_value",
    "greatest",
    "hex",
    "ifnull",
    "instr",
    "lag",
    "last_value",
    "lead",
    "least",
    "length",
    "like",
    "lower",
    "ltrim",
    "max",
    "min",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "substr",
    "substring",
    "sum",
    "total",
    "trim",
    "upper",
];

/// Keywords that may stand before a parenthesis without calling anything.
const KEYWORDS: &[&str] = &[
    "all",
    "and",
    "any",
    "as",
    "between",
    "by",
    "case",
    "conflict",
    "distinct",
    "else",
    "escape",
    "except",
    "exists",
    "filter",
    "from",
    "having",
    "in",
    "intersect",
    "is",
    "join",
    "key",
    "like",
    "limit",
    "materialized",
    "not",
    "offset",
    "on",
    "or",
    "over",
    "partition",
    "returning",
    "select",
    "set",
    "some",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
];

/// Words that read the clock or the session of the database.
const SESSION_WORDS: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
];

/// Whether a component may call this function.
pub(crate) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

/// Checks the text of one statement.
///
/// # Errors
/// `denied` for what no component may do, `invalid` for what is no portable SQL.
pub(crate) fn check(text: &str) -> Result<(), Error> {
    if text.len() > TEXT_BYTES {
        return Err(Error::Invalid(format!("a statement is at most {TEXT_BYTES} bytes")));
    }
    let mut tokens = tokenise(text)?;
    if tokens.last() == Some(&Token::Semicolon) {
        tokens.pop();
    }
    check_verb(tokens.first())?;
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        let after = tokens.get(index + 1);
        match token {
            Token::Semicolon => return Err(Error::Denied("one statement a call".into())),
            Token::Word(name) | Token::Quoted(name) => {
                check_name(name)?;
                if after == Some(&Token::Open) {
                    check_call(token, before)?;
                } else if *token == Token::Word("replace".into()) {
                    return Err(Error::Denied("use on conflict do update, not replace".into()));
                }
            }
            Token::Open | Token::Literal | Token::Symbol => {}
        }
    }
    Ok(())
}

fn check_verb(first: Option<&Token>) -> Result<(), Error> {
    match first {
        None => Err(Error::Invalid("the statement is empty".into())),
        Some(Token::Word(verb)) if VERBS.contains(&verb.as_str()) => Ok(()),
        Some(_) => Err(Error::Denied(
            "a statement begins with select, insert, update, delete, with or values".into(),
        )),
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let system =
        ["pg_", "sqlite_", "pragma_", "_sqlx"].iter().any(|prefix| name.starts_with(prefix));
    if system || name == "information_schema" {
        return Err(Error::Denied(format!("{name} belongs to the database")));
    }
    if SESSION_WORDS.contains(&name) {
        return Err(Error::Denied(format!("{name} is not available to components")));
    }
    Ok(())
}

/// A name before an opening parenthesis: a call, or one of the places where it is none.
fn check_call(token: &Token, before: Option<&Token>) -> Result<(), Error> {
    let (Token::Word(name) | Token::Quoted(name)) = token else { return Ok(()) };
    let keyword = matches!(token, Token::Word(_)) && KEYWORDS.contains(&name.as_str());
    // These introduce a name with a list of columns, which is no call; an expression cannot
    // stand right behind them.
    let introduced = matches!(before, Some(Token::Word(word))
        if ["into", "with", "recursive", "as"].contains(&word.as_str()));
    if keyword || introduced || is_function(name) {
        return Ok(());
    }
    Err(Error::Denied(format!("the function {name} is not available to components")))
}

/// A piece of a statement, as far as the checks tell them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A keyword or a bare name, in lower case.
    Word(String),
    /// A name in double quotes, in lower case.
    Quoted(String),
    /// A string, a number or a parameter.
    Literal,
    /// An opening parenthesis.
    Open,
    /// A semicolon.
    Semicolon,
    /// Any other character.
    Symbol,
}

fn tokenise(text: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            ' ' | '\t' | '\n' | '\r' | '\u{c}' => after,
            '-' if after.starts_with('-') => skip_line(after)?,
            '/' if after.starts_with('*') => skip_comment(&after[1..])?,
            '\'' => {
                tokens.push(Token::Literal);
                quoted(after, '\'')?.1
            }
            '"' => {
                let (name, rest) = quoted(after, '"')?;
                tokens.push(Token::Quoted(name.to_lowercase()));
                rest
            }
            '$' | '0'..='9' => {
                tokens.push(Token::Literal);
                number(first, after)?
            }
            '(' => {
                tokens.push(Token::Open);
                after
            }
            ';' => {
                tokens.push(Token::Semicolon);
                after
            }
            _ if is_name(first) => {
                let (word, rest) = word(rest)?;
                tokens.push(Token::Word(word));
                rest
            }
            ')' | '*' | '+' | '-' | '/' | '%' | '<' | '>' | '=' | '!' | '|' | '&' | '~' | ','
            | '.' | ':' => {
                tokens.push(Token::Symbol);
                after
            }
            other => return Err(unportable(&format!("the character {other:?}"))),
        };
    }
    Ok(tokens)
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || !character.is_ascii()
}

fn unportable(what: &str) -> Error {
    Error::Invalid(format!("{what} is not part of the portable subset of SQL"))
}

/// A word. Prefixed strings are refused: the databases disagree on where they end.
fn word(text: &str) -> Result<(String, &str), Error> {
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let word = word.to_lowercase();
    let prefixed = rest.starts_with('\'') && word != "x" && word.len() == 1;
    if prefixed || rest.starts_with('$') || (word == "u" && rest.starts_with('&')) {
        return Err(unportable("a prefixed string or a name with a dollar sign"));
    }
    Ok((word, rest))
}

/// A number, or a parameter such as `$1`. Dollar quotes are refused.
fn number(first: char, text: &str) -> Result<&str, Error> {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if first == '$' && digits.len() == text.len() {
        return Err(unportable("a dollar sign without a number"));
    }
    // An exponent and a fraction are parts of a number; `1e5` and `1.5e-3` end here or go on as
    // symbols and numbers, which changes nothing for the checks.
    let rest = match digits.strip_prefix(['e', 'E']) {
        Some(exponent) if first != '$' => exponent,
        _ => digits,
    };
    if rest.starts_with(|c| is_name(c) && !char::is_ascii_digit(&c)) || rest.starts_with('$') {
        return Err(unportable("a number with letters"));
    }
    Ok(rest)
}

/// What a quote encloses, a doubled quote standing for one, and what follows it.
fn quoted(text: &str, quote: char) -> Result<(String, &str), Error> {
    let mut content = String::new();
    let mut rest = text;
    loop {
        let (part, after) =
            rest.split_once(quote).ok_or_else(|| Error::Invalid("a quote is not closed".into()))?;
        content.push_str(part);
        match after.strip_prefix(quote) {
            Some(next) => {
                content.push(quote);
                rest = next;
            }
            None => return Ok((content, after)),
        }
    }
}

/// A comment to the end of the line, which only one database ends at a carriage return.
fn skip_line(text: &str) -> Result<&str, Error> {
    let end = text.find('\n').unwrap_or(text.len());
    let (comment, rest) = text.split_at(end);
    if comment.contains('\r') {
        return Err(unportable("a carriage return in a comment"));
    }
    Ok(rest)
}

/// A bracketed comment, which only one database nests.
fn skip_comment(text: &str) -> Result<&str, Error> {
    let (comment, rest) =
        text.split_once("*/").ok_or_else(|| Error::Invalid("a comment is not closed".into()))?;
    if comment.contains("/*") {
        return Err(unportable("a comment in a comment"));
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_statements_pass() {
        for statement in [
            "SELECT id, COUNT(*) OVER () FROM project WHERE lower(name) LIKE lower($1) ESCAPE '\\'",
            "  -- a comment\n/* another */ select replace(name, 'a', 'it''s') from t;  ",
            "INSERT INTO project (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = $2",
            "WITH RECURSIVE tree(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM tree) SELECT 1e5, x'00'",
            "UPDATE t SET a = CASE WHEN a > 1.5e-3 THEN CAST($1 AS TEXT) ELSE \"b\" END WHERE id IN ($2)",
        ] {
            assert_eq!(check(statement), Ok(()), "{statement}");
        }
    }

    #[test]
    fn what_no_component_may_do_is_denied() {
        for statement in [
            "DROP TABLE project",
            "/* x */ PRAGMA user_version",
            "-- x\nBEGIN",
            "SELECT 1; DELETE FROM project",
            "SELECT set_config('role', 'postgres', false)",
            "SELECT \"set_config\"('role', 'postgres', false)",
            "SELECT pg_read_file ('x')",
            "SELECT query_to_xml/**/('x', true, true, '')",
            "SELECT name FROM sqlite_master",
            "SELECT * FROM \"PG_catalog\".pg_class",
            "INSERT OR REPLACE INTO event (id) VALUES ($1)",
            "WITH a AS (SELECT 1) REPLACE INTO event (id) VALUES ($1)",
            "SELECT current_timestamp",
        ] {
            assert!(matches!(check(statement), Err(Error::Denied(_))), "{statement}");
        }
    }

    #[test]
    fn what_two_databases_read_differently_is_invalid() {
        for statement in [
            "",
            " ; ",
            "SELECT 'open",
            "SELECT /* open",
            "SELECT /* /* */ 1 */",
            "SELECT E'\\' || set_config(1) || ''",
            "SELECT U&\"x\"",
            "SELECT $$text$$",
            "SELECT $1a",
            "SELECT -- \r set_config()\n 1",
            "SELECT [name] FROM t",
            "SELECT ?",
            "SELECT a$b FROM t",
            "SELECT 1\u{0}",
        ] {
            let result = check(statement);
            assert!(matches!(result, Err(Error::Invalid(_))), "{statement}: {result:?}");
        }
        assert!(matches!(check(&" ".repeat(65_537)), Err(Error::Invalid(_))));
    }
}
