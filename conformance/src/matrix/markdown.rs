//! The matrix as Markdown: the scores, then every statement.

use std::io::{self, Write};

use super::{Matrix, Sign, level, words};
use crate::report::cell;

impl Matrix {
    /// Writes it as Markdown.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_scores(out)?;
        writeln!(out, "\n## Statements\n")?;
        let legend: Vec<String> = Sign::ALL
            .into_iter()
            .map(|sign| match sign.character() {
                "" => format!("blank {}", sign.words()),
                character => format!("{character} {}", sign.words()),
            })
            .collect();
        writeln!(out, "{}\n", legend.join(", "))?;
        write!(out, "| statement | |")?;
        for column in &self.columns {
            write!(out, " {} {} |", cell(&column.broker), column.transport)?;
        }
        writeln!(out, "\n|---|---|{}", ":-:|".repeat(self.columns.len()))?;
        for (id, cells) in &self.rows {
            write!(out, "| {id} | {} |", cell(words(id)))?;
            for one in cells {
                write!(out, " {} |", one.sign(level(id)).character())?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// Only the scores: a row for each broker and transport.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_scores(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "| broker | transport | MUST | FACT | SHOULD | rejects bad input | statements that hold | broken |"
        )?;
        writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|")?;
        for (index, column) in self.columns.iter().enumerate() {
            let count = |sign: Sign| {
                let signs = self.rows.iter();
                signs
                    .filter(|(id, cells)| cells[index].sign(level(id)) == sign)
                    .count()
            };
            let share = |(passed, played): (usize, usize)| format!("{passed} of {played}");
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                cell(&column.broker),
                column.transport,
                share(column.must),
                share(column.fact),
                share(column.should),
                share(column.rejections),
                count(Sign::Holds),
                count(Sign::Broken),
            )?;
        }
        Ok(())
    }
}
