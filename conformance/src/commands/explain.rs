//! `explain`: one statement or scenario in words.

use std::io::Write;

use super::Failure;
use crate::{
    catalogue::{Catalogue, Observable, Statement, Subject},
    exit_code::ExitCode,
    library::Library,
    scenario::Scenario,
    suggest,
    verdict::Level,
    weight,
};

/// Explains what `id` names.
pub(super) fn explain(id: &str, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let library = Library::embedded()?;
    if let Some(scenario) = library.scenario(id) {
        explain_scenario(&library, scenario, out)?;
        return Ok(ExitCode::Clean);
    }
    match Catalogue::embedded().find(id) {
        Ok(statement) => explain_statement(&library, statement, out)?,
        Err(unknown) => {
            let ids: Vec<String> = library.ids().collect();
            let mut near = unknown.near;
            near.extend(suggest::nearest(id, ids.iter().map(String::as_str)));
            let message = format!(
                "`{id}` is neither a statement nor a scenario{}",
                suggest::did_you_mean(&near)
            );
            return Err(Failure::usage(message));
        }
    }
    Ok(ExitCode::Clean)
}

fn explain_statement(
    library: &Library,
    statement: &Statement,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Statement {
        id,
        version,
        section,
        paraphrase,
        ..
    } = statement;
    writeln!(
        out,
        "{id}  {}  MQTT {version}, section {section}\n",
        statement.keyword.name()
    )?;
    writeln!(out, "{paraphrase}\n")?;
    let bound = match statement.subject {
        Subject::Server => "the server",
        Subject::Client => "the client",
        Subject::Both => "both ends",
    };
    writeln!(out, "binds:    {bound}")?;
    let needs: Vec<String> = statement.needs.iter().map(ToString::to_string).collect();
    writeln!(out, "a test:   {}", needs.join(", "))?;
    match statement.observable {
        Observable::Yes => {}
        Observable::Partial => writeln!(out, "in part:  {}", statement.why_not)?,
        Observable::No => writeln!(out, "unseen:   {}", statement.why_not)?,
    }
    if !statement.related.is_empty() {
        writeln!(out, "related:  {}", statement.related.join(", "))?;
    }
    let judges = |scenario: &&std::sync::Arc<Scenario>| {
        scenario
            .proves
            .iter()
            .chain(scenario.cases.iter().flat_map(|case| &case.proves))
            .any(|cited| cited == id)
    };
    let scenarios: Vec<&str> = library
        .scenarios()
        .iter()
        .filter(judges)
        .map(|scenario| scenario.slug.as_str())
        .collect();
    if scenarios.is_empty() {
        writeln!(out, "judged by no scenario")?;
    }
    for slug in scenarios {
        writeln!(out, "judged by {slug}")?;
    }
    Ok(())
}

fn explain_scenario(
    library: &Library,
    scenario: &Scenario,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let level = scenario
        .cases
        .iter()
        .flat_map(|case| case.versions.iter().map(move |version| (case, *version)))
        .map(|(case, version)| weight::level(scenario, case, version))
        .max()
        .unwrap_or(Level::Must);
    let versions: Vec<String> = scenario.versions.iter().map(ToString::to_string).collect();
    writeln!(
        out,
        "{}  {}  MQTT {}\n",
        scenario.slug,
        level,
        versions.join(", ")
    )?;
    writeln!(out, "{}\n", scenario.why)?;
    for id in scenario
        .proves
        .iter()
        .chain(scenario.cases.iter().flat_map(|case| &case.proves))
    {
        let words = Catalogue::embedded()
            .statement(id)
            .map_or("", |statement| statement.paraphrase);
        writeln!(out, "{id}: {words}")?;
    }
    if scenario.cases.len() > 1 {
        let names: Vec<&str> = scenario
            .cases
            .iter()
            .map(|case| case.name.as_str())
            .collect();
        writeln!(out, "\ncases: {}", names.join(", "))?;
    }
    writeln!(out, "\n{}:{}", scenario.file, scenario.line)?;
    let text = library.source(scenario).unwrap_or_default();
    // From its first line up to the brace that closes it: the only one without indentation.
    for line in text.lines().skip(scenario.line.saturating_sub(1)) {
        writeln!(out, "{line}")?;
        if line == "}" {
            break;
        }
    }
    Ok(())
}
