//! A table for documents.

use comfy_table::{presets, CellAlignment, Table};

use crate::results::Comparison;

/// The comparison as a Markdown table.
pub fn render(comparison: &Comparison) -> String {
    table(&super::header(), super::rows(comparison))
}

/// Any Markdown table; the columns line up in the source too.
pub fn table<Row>(header: &[impl AsRef<str>], rows: impl Iterator<Item = Row>) -> String
where
    Row: IntoIterator<Item: AsRef<str>>,
{
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(escaped(header)).add_rows(rows.map(escaped));
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Left);
    }
    table.to_string()
}

/// A bar would end the cell.
fn escaped(cells: impl IntoIterator<Item: AsRef<str>>) -> Vec<String> {
    let cells = cells.into_iter();
    cells.map(|cell| cell.as_ref().replace('|', "\\|")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    #[test]
    fn every_line_is_a_row_of_all_columns() {
        let text = render(&sample::comparison());
        assert_eq!(text.lines().count(), 2 + 2);
        for line in text.lines() {
            assert!(line.starts_with('|') && line.ends_with('|'), "{line}");
            assert_eq!(line.matches('|').count(), super::super::header().len() + 1, "{line}");
        }
    }

    #[test]
    fn bars_are_escaped() {
        let text = table(&["a"], [["b|c"]].into_iter());
        assert!(text.contains("b\\|c"), "{text}");
    }
}
