//! Reads the catalogue's tables, and refuses everything that is not exactly as it should be.

use std::collections::HashMap;

use super::{
    Catalogue,
    need::Need,
    statement::{Keyword, Observable, Statement, Subject},
    version_of_prefix,
};

/// What is wrong with a table of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct CatalogueError {
    /// The table.
    pub file: &'static str,
    /// The line, from 1.
    pub line: usize,
    /// What was found and what was expected.
    pub problem: String,
}

/// One table and what is particular to it.
#[derive(Clone, Copy, Debug)]
struct Table {
    file: &'static str,
    text: &'static str,
    /// What its ids may begin with.
    prefixes: &'static [&'static str],
    /// What its related ids may begin with.
    related_prefixes: &'static [&'static str],
    /// What the column of related ids is called.
    related_column: &'static str,
}

const TABLES: [Table; 4] = [
    Table {
        file: "mqtt-3.1.1.tsv",
        text: include_str!("../../catalogue/mqtt-3.1.1.tsv"),
        prefixes: &["MQTT3"],
        related_prefixes: &["MQTT5"],
        related_column: "counterpart",
    },
    Table {
        file: "mqtt-5.0.tsv",
        text: include_str!("../../catalogue/mqtt-5.0.tsv"),
        prefixes: &["MQTT5"],
        related_prefixes: &["MQTT3"],
        related_column: "counterpart",
    },
    Table {
        file: "extra.tsv",
        text: include_str!("../../catalogue/extra.tsv"),
        prefixes: &["X5", "X3"],
        related_prefixes: &["MQTT5", "MQTT3"],
        related_column: "related",
    },
    Table {
        file: "mqtt-over-quic.tsv",
        text: include_str!("../../catalogue/mqtt-over-quic.tsv"),
        prefixes: &["MQ"],
        related_prefixes: &["MQTT5"],
        related_column: "related",
    },
];

/// A statement and where it stands.
struct Row {
    file: &'static str,
    line: usize,
    statement: Statement,
}

impl Row {
    fn error(&self, problem: String) -> CatalogueError {
        CatalogueError {
            file: self.file,
            line: self.line,
            problem,
        }
    }
}

pub(super) fn embedded() -> Result<Catalogue, CatalogueError> {
    load(&TABLES)
}

fn load(tables: &[Table]) -> Result<Catalogue, CatalogueError> {
    let mut rows = Vec::new();
    for table in tables {
        read_table(table, &mut rows)?;
    }
    check_references(&rows)?;
    Ok(Catalogue {
        statements: rows.into_iter().map(|row| row.statement).collect(),
    })
}

fn read_table(table: &Table, rows: &mut Vec<Row>) -> Result<(), CatalogueError> {
    let header = [
        "id",
        "section",
        "level",
        "subject",
        "observable",
        "needs",
        "paraphrase",
        table.related_column,
        "why_not",
    ];
    let mut lines = table
        .text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line));
    let first = lines.next().map_or("", |(_, line)| line);
    if !first.split('\t').eq(header) {
        let problem = format!("expected the columns `{}`", header.join("`, `"));
        return Err(CatalogueError {
            file: table.file,
            line: 1,
            problem,
        });
    }
    for (line, text) in lines {
        let statement = read_row(table, text).map_err(|problem| CatalogueError {
            file: table.file,
            line,
            problem,
        })?;
        rows.push(Row {
            file: table.file,
            line,
            statement,
        });
    }
    Ok(())
}

fn read_row(table: &Table, text: &'static str) -> Result<Statement, String> {
    let cells: Vec<&'static str> = text.split('\t').collect();
    let [
        id,
        section,
        level,
        subject,
        observable,
        needs,
        paraphrase,
        related,
        why_not,
    ] = cells[..]
    else {
        return Err(format!("expected 9 cells, found {}", cells.len()));
    };
    if let Some(cell) = cells.iter().find(|cell| cell.trim() != **cell) {
        return Err(format!("blanks around `{}`", cell.trim()));
    }
    let prefix = prefix_of(id, table.prefixes)?;
    let version =
        version_of_prefix(prefix).ok_or_else(|| format!("no version has the prefix `{prefix}`"))?;
    for (name, cell) in [
        ("section", section),
        ("paraphrase", paraphrase),
        ("needs", needs),
    ] {
        if cell.is_empty() {
            return Err(format!("the cell `{name}` is empty"));
        }
    }
    let observable = word(
        "observable",
        observable,
        Observable::parse,
        "yes, partial or no",
    )?;
    match (observable, why_not.is_empty()) {
        (Observable::Yes, false) => {
            return Err("`why_not` must be empty where `observable` is yes".to_owned());
        }
        (Observable::Partial | Observable::No, true) => {
            return Err("`why_not` must say why `observable` is not yes".to_owned());
        }
        _ => {}
    }
    let related: Vec<_> = related.split(' ').filter(|cell| !cell.is_empty()).collect();
    for id in &related {
        prefix_of(id, table.related_prefixes)?;
    }
    Ok(Statement {
        id,
        version,
        section,
        keyword: word(
            "level",
            level,
            Keyword::parse,
            "MUST, MUST NOT, SHOULD, SHOULD NOT, MAY or FACT",
        )?,
        subject: word("subject", subject, Subject::parse, "server, client or both")?,
        observable,
        needs: needs
            .split("; ")
            .map(|need| Need::parse(need).ok_or_else(|| format!("`{need}` is not a known need")))
            .collect::<Result<_, _>>()?,
        paraphrase,
        related,
        why_not,
    })
}

fn word<T>(
    column: &str,
    cell: &str,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<T, String> {
    parse(cell).ok_or_else(|| format!("`{column}` is `{cell}`, expected {expected}"))
}

/// The part of an id before its first `-`, if it is one of those and the rest looks like a number.
fn prefix_of(id: &'static str, prefixes: &[&str]) -> Result<&'static str, String> {
    let wrong = || format!("`{id}` is no id that begins with {}", prefixes.join(" or "));
    let (prefix, number) = id.split_once('-').ok_or_else(wrong)?;
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let shaped = if prefix.starts_with("MQTT") {
        number.split_once('-').is_some_and(|(section, count)| {
            section.split('.').count() == 3 && section.split('.').all(numeric) && numeric(count)
        })
    } else {
        numeric(number)
    };
    if shaped && prefixes.contains(&prefix) {
        Ok(prefix)
    } else {
        Err(wrong())
    }
}

/// Ids are unique, what is referred to exists, and counterparts name each other.
fn check_references(rows: &[Row]) -> Result<(), CatalogueError> {
    let mut by_id: HashMap<&str, &Row> = HashMap::new();
    for row in rows {
        if let Some(earlier) = by_id.insert(row.statement.id, row) {
            let Row {
                file,
                line,
                statement,
            } = earlier;
            return Err(row.error(format!(
                "`{}` stands in {file}:{line} already",
                statement.id
            )));
        }
    }
    for row in rows {
        let id = row.statement.id;
        for related in &row.statement.related {
            let Some(other) = by_id.get(related) else {
                return Err(row.error(format!("`{related}` does not exist")));
            };
            if id.starts_with("MQTT") && !other.statement.related.contains(&id) {
                return Err(row.error(format!(
                    "`{related}` does not name `{id}` as its counterpart"
                )));
            }
        }
        for need in &row.statement.needs {
            if let Need::Via(duty) = need
                && !by_id.contains_key(duty)
            {
                return Err(row.error(format!("`via {duty}`: there is no such statement")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &'static str) -> Table {
        Table {
            text,
            file: "test.tsv",
            ..TABLES[0]
        }
    }

    const HEADER: &str =
        "id\tsection\tlevel\tsubject\tobservable\tneeds\tparaphrase\tcounterpart\twhy_not\n";

    #[test]
    fn the_embedded_tables_are_right() {
        embedded().expect("loads");
    }

    #[test]
    fn every_problem_names_its_line() {
        for (rows, expected) in [
            ("", None),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tyes\traw; single\tDo.\t\t\n",
                None,
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tyes\traw\tDo.\t\n",
                Some("test.tsv:2: expected 9 cells, found 8"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST \tserver\tyes\traw\tDo.\t\t\n",
                Some("test.tsv:2: blanks around `MUST`"),
            ),
            (
                "MQTT5-1.1.1-1\t1.1.1\tMUST\tserver\tyes\traw\tDo.\t\t\n",
                Some("test.tsv:2: `MQTT5-1.1.1-1` is no id that begins with MQTT3"),
            ),
            (
                "MQTT3-1.1-1\t1.1.1\tMUST\tserver\tyes\traw\tDo.\t\t\n",
                Some("test.tsv:2: `MQTT3-1.1-1` is no id that begins with MQTT3"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tmust\tserver\tyes\traw\tDo.\t\t\n",
                Some(
                    "test.tsv:2: `level` is `must`, expected MUST, MUST NOT, SHOULD, SHOULD NOT, MAY or FACT",
                ),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tbroker\tyes\traw\tDo.\t\t\n",
                Some("test.tsv:2: `subject` is `broker`, expected server, client or both"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tmaybe\traw\tDo.\t\t\n",
                Some("test.tsv:2: `observable` is `maybe`, expected yes, partial or no"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tno\traw\tDo.\t\t\n",
                Some("test.tsv:2: `why_not` must say why `observable` is not yes"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tyes\traw\tDo.\t\tinside\n",
                Some("test.tsv:2: `why_not` must be empty where `observable` is yes"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tyes\traw; cooked\tDo.\t\t\n",
                Some("test.tsv:2: `cooked` is not a known need"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tyes\traw\t\t\t\n",
                Some("test.tsv:2: the cell `paraphrase` is empty"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tyes\traw\tDo.\tMQTT5-1.1.1-1\t\n",
                Some("test.tsv:2: `MQTT5-1.1.1-1` does not exist"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tyes\tvia MQTT3-1.1.1-2\tDo.\t\t\n",
                Some("test.tsv:2: `via MQTT3-1.1.1-2`: there is no such statement"),
            ),
            (
                "MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tyes\traw\tDo.\t\t\n\
                 MQTT3-1.1.1-1\t1.1.1\tMUST\tserver\tyes\traw\tDo.\t\t\n",
                Some("test.tsv:3: `MQTT3-1.1.1-1` stands in test.tsv:2 already"),
            ),
        ] {
            let text: &'static str = String::leak(format!("{HEADER}{rows}"));
            let problem = load(&[table(text)]).err().map(|error| error.to_string());
            assert_eq!(problem.as_deref(), expected, "{rows}");
        }
        let error = load(&[table("id\tlevel\n")]).expect_err("wrong header");
        assert!(
            error
                .to_string()
                .starts_with("test.tsv:1: expected the columns `id`, `section`")
        );
    }

    #[test]
    fn counterparts_name_each_other() {
        let old = String::leak(format!(
            "{HEADER}MQTT3-1.1.1-1\t1\tMUST\tserver\tyes\traw\tDo.\tMQTT5-1.1.1-1\t\n"
        ));
        let new = String::leak(format!(
            "{HEADER}MQTT5-1.1.1-1\t1\tMUST\tserver\tyes\traw\tDo.\t\t\n"
        ));
        let tables = [
            Table {
                text: old,
                ..TABLES[0]
            },
            Table {
                text: new,
                ..TABLES[1]
            },
        ];
        assert_eq!(
            load(&tables).expect_err("one-sided").to_string(),
            "mqtt-3.1.1.tsv:2: `MQTT5-1.1.1-1` does not name `MQTT3-1.1.1-1` as its counterpart"
        );
    }
}
