//! The catalogue neither loses nor invents a statement.

use std::collections::BTreeMap;

use quince_codec::Version;
use quince_conformance::catalogue::{Catalogue, Keyword, Observable, Subject};

#[test]
fn the_counts_are_those_of_the_specifications() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for statement in Catalogue::embedded().statements() {
        let (prefix, _) = statement.id.split_once('-').expect("a prefix");
        *counts.entry(prefix).or_default() += 1;
    }
    let expected = [
        ("MQ", 22),
        ("MQTT3", 141),
        ("MQTT5", 251),
        ("X3", 23),
        ("X5", 76),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn every_id_is_accounted_for() {
    let ids: Vec<&str> = Catalogue::embedded()
        .statements()
        .iter()
        .map(|statement| statement.id)
        .collect();
    insta::assert_snapshot!(ids.join("\n"));
}

#[test]
fn the_columns_add_up() {
    let mut lines = Vec::new();
    let catalogue = Catalogue::embedded().statements();
    for (name, prefix) in [
        ("3.1.1", "MQTT3"),
        ("5.0", "MQTT5"),
        ("extra", "X"),
        ("QUIC", "MQ-"),
    ] {
        let rows: Vec<_> = catalogue
            .iter()
            .filter(|statement| statement.id.starts_with(prefix))
            .collect();
        for keyword in [
            Keyword::Must,
            Keyword::MustNot,
            Keyword::Should,
            Keyword::ShouldNot,
            Keyword::May,
            Keyword::Fact,
        ] {
            let count = rows.iter().filter(|row| row.keyword == keyword).count();
            lines.push(format!("{name} {} {count}", keyword.name()));
        }
        for subject in [Subject::Server, Subject::Client, Subject::Both] {
            let count = rows.iter().filter(|row| row.subject == subject).count();
            lines.push(format!("{name} {} {count}", subject.name()));
        }
        for observable in [Observable::Yes, Observable::Partial, Observable::No] {
            let count = rows
                .iter()
                .filter(|row| row.observable == observable)
                .count();
            lines.push(format!("{name} observable {} {count}", observable.name()));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_version_follows_from_the_id() {
    for statement in Catalogue::embedded().statements() {
        let expected = match statement.id.split_once('-').expect("a prefix").0 {
            "MQTT3" | "X3" => Version::V3_1_1,
            _ => Version::V5_0,
        };
        assert_eq!(statement.version, expected, "{}", statement.id);
    }
}

#[test]
fn the_rules_of_mqtt_over_quic_are_those_of_its_page() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mqtt-over-quic.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rules = page.lines().filter_map(|line| {
        let (id, _) = line.strip_prefix("**MQ-")?.split_once(".**")?;
        Some(format!("MQ-{id}"))
    });
    let known = Catalogue::embedded().statements().iter();
    let known = known.map(|statement| statement.id.to_owned());
    assert_eq!(
        rules.collect::<Vec<_>>(),
        known.filter(|id| id.starts_with("MQ-")).collect::<Vec<_>>()
    );
}
