//! A table for the terminal.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use crate::results::Comparison;

/// The comparison as one table, below a line about the native run.
pub fn render(comparison: &Comparison) -> String {
    let native = &comparison.native;
    format!("{}: natively {:.3} s, {}\n{}", comparison.command.join(" "), native.seconds, native.ending, settings(comparison))
}

fn settings(comparison: &Comparison) -> String {
    let mut table = table();
    table
        // Numbers must not be wrapped, however narrow the terminal.
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(super::header().iter().map(|title| title.replace(' ', "\n")))
        .add_rows(super::rows(comparison));
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        if index != 0 && index != last {
            column.set_cell_alignment(CellAlignment::Right);
        }
        column.set_padding((0, 1));
    }
    table.trim_fmt()
}

/// An empty table in the style of all our tables; on a terminal it fits the width.
pub fn table() -> Table {
    const RULE: LineStyle = LineStyle::none().fill('─').junction('─');
    const HEADER_RULE: LineStyle = LineStyle::none().fill('═').junction('═');
    const STYLE: TableStyle = TableStyle::new().top_border(RULE).header_separator(HEADER_RULE).bottom_border(RULE);
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    #[test]
    fn a_row_for_each_setting() {
        let text = render(&sample::comparison());
        assert_eq!(text.lines().count(), 1 + 2 + 2 + 3, "native run, titles, rows and three rules:\n{text}");
        let line = |policy: &str| text.lines().find(|line| line.contains(policy));
        assert!(line("fifo").is_some_and(|line| line.contains("same")));
        assert!(line("clock").is_some_and(|line| line.contains("DIFFERENT")));
    }
}
