//! The table that is printed: a row for each figure, aligned, with what it should reach.

use std::fmt::Write as _;

/// One figure.
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// The figure, with its unit.
    pub(crate) figure: String,
    /// What it was made from.
    pub(crate) from: String,
    /// What it should reach, if a target was set for it.
    pub(crate) target: Option<Target>,
}

/// What a figure should reach.
pub(crate) struct Target {
    /// In words.
    pub(crate) text: &'static str,
    /// Whether it did.
    pub(crate) reached: bool,
}

impl Target {
    /// What a figure should at least be.
    pub(crate) fn at_least(text: &'static str, figure: f64, least: f64) -> Option<Self> {
        Some(Self { text, reached: figure >= least })
    }

    /// What a figure should at most be.
    pub(crate) fn at_most(text: &'static str, figure: f64, most: f64) -> Option<Self> {
        Some(Self { text, reached: figure <= most })
    }
}

const HEADINGS: [&str; 5] = ["what", "figure", "reach", "reached", "from"];

/// The rows as text, with a line of headings.
pub(crate) fn render(rows: &[Row]) -> String {
    let cells: Vec<[&str; 5]> = std::iter::once(HEADINGS)
        .chain(rows.iter().map(|row| {
            let (text, reached) = match &row.target {
                Some(target) => (target.text, if target.reached { "yes" } else { "no" }),
                None => ("", ""),
            };
            [row.what.as_str(), &row.figure, text, reached, &row.from]
        }))
        .collect();
    let width = |column: usize| {
        cells.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for cells in &cells {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let _infallible = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The middle of some figures, or the mean of the two in the middle; 0 of none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    percentile(figures, 50.0)
}

/// The figure that so many percent of all do not exceed; 0 of none.
pub(crate) fn percentile(figures: impl IntoIterator<Item = f64>, percent: f64) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len().saturating_sub(1)) as f64 * percent / 100.0;
    let below = sorted.get(place.floor() as usize).copied().unwrap_or_default();
    let above = sorted.get(place.ceil() as usize).copied().unwrap_or_default();
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([]), 0.0);
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(percentile([1.0, 2.0, 3.0], 100.0), 3.0);
    }

    #[test]
    fn columns_are_aligned_and_lines_end_with_text() {
        let row = |what: &str, target| Row {
            what: what.to_owned(),
            figure: "1.20x".to_owned(),
            from: String::new(),
            target,
        };
        let rows = [row("short", None), row("rather long", Target::at_least(">= 1x", 1.2, 1.0))];
        let text = render(&rows);
        assert_eq!(
            text,
            "what         figure  reach  reached  from\n\
             short        1.20x\n\
             rather long  1.20x   >= 1x  yes\n"
        );
    }
}
