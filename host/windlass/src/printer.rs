//! The one place that writes to the terminal: data to stdout, everything else to stderr.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the printer")]

/// A line of data.
pub(crate) fn line(text: impl std::fmt::Display) {
    println!("{text}");
}

/// A line for the person at the terminal.
pub(crate) fn note(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// An error with its whole chain, once.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// Rows under headings, in columns as wide as they need to be.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) {
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(String::len);
            cells.chain([heading.len()]).max().unwrap_or_default()
        })
        .collect();
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(&mut headings.iter().copied());
    for row in rows {
        print(&mut row.iter().map(String::as_str));
    }
}
