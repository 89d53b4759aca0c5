//! How much a result weighs: how strongly the specification asks for what was judged, and whether that is how bad input is turned away.

use quince_codec::Version;

use crate::{
    catalogue::{Catalogue, Statement, Subject},
    scenario::{Action, Case, Scenario, model::Sent},
    verdict::Level,
};

/// The level that the scenario's file states, or else the strongest among the statements that it cites for that version.
/// MUST if it cites none.
pub fn level(scenario: &Scenario, case: &Case, version: Version) -> Level {
    let strongest = || {
        let statements = scenario.statements(case, version);
        statements
            .iter()
            .filter_map(|id| Catalogue::embedded().statement(id))
            .map(Statement::level)
            .max()
    };
    scenario.level.or_else(strongest).unwrap_or(Level::Must)
}

/// Whether it judges how a server turns away what no right client sends, and nothing else: it sends bytes that are no packet of a right client and wants the connection closed,
/// or everything that it cites for that version binds the client.
pub fn is_rejection(scenario: &Scenario, case: &Case, version: Version) -> bool {
    let steps = scenario.all_steps();
    let sends_bad_bytes = steps.iter().any(|step| {
        matches!(
            &step.action,
            Action::Send {
                what: Sent::Packet(_, Some(_)) | Sent::Framed(..) | Sent::Raw(_),
                ..
            }
        )
    });
    let wants_a_close = steps
        .iter()
        .any(|step| matches!(step.action, Action::Closed { .. } | Action::Ended { .. }));
    if sends_bad_bytes && wants_a_close {
        return true;
    }
    let statements = scenario.statements(case, version);
    !statements.is_empty()
        && statements.iter().all(|id| {
            let statement = Catalogue::embedded().statement(id);
            statement.is_some_and(|statement| statement.subject == Subject::Client)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Library;

    #[test]
    fn bad_input_is_told_from_behaviour() {
        let library = Library::embedded().expect("it is right");
        for (slug, expected) in [
            ("packets-that-no-client-sends-close", true),
            ("publish-topic-is-utf8", true),
            ("more-than-the-receive-maximum-closes", false),
            ("qos2-is-exactly-once", false),
            ("takeover-closes-the-older-connection", false),
            ("keep-alive-closes-in-time", false),
        ] {
            let scenario = library.scenario(slug).expect(slug);
            let version = scenario.versions[0];
            let judged = is_rejection(scenario, &scenario.cases[0], version);
            assert_eq!(judged, expected, "{slug}");
        }
    }

    #[test]
    fn what_a_version_cites_decides_and_an_unnumbered_fact_is_no_must() {
        let library = Library::embedded().expect("it is right");
        for (slug, version, expected) in [
            ("server-keep-alive-counts", Version::V5_0, Level::Fact),
            (
                "server-closes-after-disconnect",
                Version::V5_0,
                Level::Should,
            ),
            (
                "no-local-on-a-shared-subscription-closes",
                Version::V5_0,
                Level::Must,
            ),
            ("qos2-is-exactly-once", Version::V3_1_1, Level::Must),
            // Its file says so.
            ("server-says-why-it-closes", Version::V5_0, Level::Should),
        ] {
            let scenario = library.scenario(slug).expect(slug);
            let level = level(scenario, &scenario.cases[0], version);
            assert_eq!(level, expected, "{slug}");
        }
    }
}
