//! The Markdown that a run prints.

use std::fmt::Write as _;

use crate::measure::Figures;

/// What was measured of one contender at one packet.
#[derive(Clone, Debug)]
pub struct Row {
    /// The contender.
    pub name: &'static str,
    /// Times.
    pub figures: Figures,
    /// Calls of the allocator per packet.
    pub allocations: f64,
}

/// One packet with its rows, that of the floor first.
#[derive(Clone, Debug)]
pub struct Section {
    /// The packet.
    pub packet: &'static str,
    /// Its length in bytes.
    pub length: usize,
    /// A row for each contender.
    pub rows: Vec<Row>,
}

impl Section {
    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    fn times_the_floor(&self, row: &Row) -> f64 {
        row.figures.median / self.rows[0].figures.median
    }
}

/// Contenders across, packets down: median nanoseconds, times the floor, allocations.
#[must_use]
pub fn overview(sections: &[Section]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for row in sections.iter().flat_map(|section| &section.rows) {
        if !names.contains(&row.name) {
            names.push(row.name);
        }
    }
    let mut text = format!(
        "| packet | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for section in sections {
        write!(text, "| {} ({} B) |", section.packet, section.length).expect("a string takes it");
        for name in &names {
            let cell = section.row(name).map_or_else(
                || "-".to_owned(),
                |row| {
                    let Row {
                        figures,
                        allocations,
                        ..
                    } = row;
                    let times = section.times_the_floor(row);
                    format!(
                        "{:.1} ({times:.2}x, {})",
                        figures.median,
                        allocations.round()
                    )
                },
            );
            write!(text, " {cell} |").expect("a string takes it");
        }
        text.push('\n');
    }
    text
}

/// Every figure.
#[must_use]
pub fn details(sections: &[Section]) -> String {
    let mut text = String::from(
        "| packet | codec | min | lower quartile | median | upper quartile | MB/s | allocations |\n|---|---|---|---|---|---|---|---|\n",
    );
    for section in sections {
        for row in &section.rows {
            let Figures {
                minimum,
                lower,
                median,
                upper,
            } = row.figures;
            let speed = section.length as f64 * 1000.0 / median;
            writeln!(
                text,
                "| {} | {} | {minimum:.1} | {lower:.1} | {median:.1} | {upper:.1} | {speed:.0} | {:.2} |",
                section.packet, row.name, row.allocations
            )
            .expect("a string takes it");
        }
    }
    text
}
