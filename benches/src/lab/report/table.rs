//! The table of a run, for a terminal of 80 columns.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell as Field, CellAlignment, ContentArrangement, LineStyle, Table};

use super::readable;
use crate::lab::run::Cell;
use crate::lab::statistics::Figure;

/// Marks figures of which nothing may be concluded.
pub(crate) const TAINTED: &str = "*";

/// One row for each cell of the run.
pub(crate) fn latencies(cells: &[Cell<'_>]) -> Table {
    let mut table = plain([
        "link",
        "transport",
        "p50",
        "p90",
        "p99",
        "max",
        "sent",
        "recv",
        "dup",
        "lost",
    ]);
    // One round trip time for all is told above the table.
    let several = cells
        .windows(2)
        .any(|pair| (pair[0].conditions.rtt() - pair[1].conditions.rtt()).abs() > f64::EPSILON);
    let mut rows_of_link = 0;
    let mut previous = None;
    for cell in cells {
        rows_of_link += 1;
        if previous.replace(&cell.conditions) != Some(&cell.conditions) {
            rows_of_link = 0;
        }
        let link = match rows_of_link {
            0 if several => cell.conditions.to_string(),
            0 => cell.conditions.trouble().to_string(),
            1 if cell.conditions.is_undisturbed() => "noise floor".to_owned(),
            _ => String::new(),
        };
        let mark = if cell.provisional { TAINTED } else { "" };
        let mut row = vec![link, format!("{}{mark}", cell.contender)];
        row.extend(
            Figure::ALL
                .iter()
                .map(|figure| readable(figure.of(&cell.sample.pooled))),
        );
        let counts = cell.counts;
        row.extend(
            [
                counts.scheduled,
                counts.received,
                counts.duplicated,
                counts.lost,
            ]
            .map(|count| count.to_string()),
        );
        add(&mut table, row);
    }
    table
}

/// A table whose first two columns are words and the others figures.
pub(crate) fn plain<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    // Rows are told apart by their first column; lines between all of them would make the table twice as long.
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    // Without a terminal the table knows no width of its own.
    if table.width().is_none() {
        table.set_width(80);
    }
    add(&mut table, head.map(str::to_owned).to_vec());
    table
}

/// Adds a row: words to the left, figures to the right.
pub(crate) fn add(table: &mut Table, row: Vec<String>) {
    let fields = row.into_iter().enumerate().map(|(column, text)| {
        let alignment = if column < 2 {
            CellAlignment::Left
        } else {
            CellAlignment::Right
        };
        Field::new(text).set_alignment(alignment)
    });
    let fields: Vec<_> = fields.collect();
    if table.header().is_none() {
        table.set_header(fields);
    } else {
        table.add_row(fields);
    }
}
