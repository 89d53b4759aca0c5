//! The house rules that no compiler checks: who may import whom, and one version of each library.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{Metadata, MetadataCommand, Package};

/// For each crate of the workspace those it may import, by normal, build and dev edges alike.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("quince-codec", &[]),
    ("quince-core", &["quince-codec"]),
    ("quince-store", &["quince-codec", "quince-core"]),
    // Knows nothing of MQTT.
    ("quince-congestion", &[]),
    (
        "quince-broker",
        &[
            "quince-codec",
            "quince-congestion",
            "quince-core",
            "quince-store",
        ],
    ),
    ("quince-client", &["quince-codec", "quince-congestion"]),
    ("quince-model", &["quince-codec"]),
    // The suite judges brokers: ours is only its target, behind the feature `embedded`.
    (
        "quince-conformance",
        &[
            "quince-codec",
            "quince-client",
            "quince-model",
            "quince-core",
            "quince-broker",
        ],
    ),
    // Judges the core itself by the model; the suite does so only where the core is embedded.
    (
        "quince-simulation",
        &["quince-codec", "quince-core", "quince-model"],
    ),
    (
        "quince-fuzz-targets",
        &["quince-codec", "quince-core", "quince-store"],
    ),
    // Measures any broker, so it knows none.
    ("quince-load", &["quince-codec", "quince-client"]),
    // Kills any broker, so it knows none.
    (
        "quince-crash",
        &["quince-codec", "quince-client", "quince-model"],
    ),
    // Knows nothing of MQTT.
    ("quince-link", &[]),
    (
        "quince-benches",
        &[
            "quince-codec",
            "quince-core",
            "quince-broker",
            "quince-client",
            "quince-link",
        ],
    ),
];

/// What the suite may know of our broker only behind a feature.
const EMBEDDED: &[&str] = &["quince-core", "quince-broker"];

fn metadata() -> Metadata {
    MetadataCommand::new().exec().expect("cargo metadata")
}

fn member<'a>(metadata: &'a Metadata, name: &str) -> &'a Package {
    let mut members = metadata.workspace_packages().into_iter();
    members
        .find(|package| package.name == name)
        .expect("a member of the workspace")
}

#[test]
fn imports_point_one_way() {
    let metadata = metadata();
    let known: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let members: BTreeSet<_> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let listed: BTreeSet<_> = known.keys().map(ToString::to_string).collect();
    assert_eq!(members, listed, "every member has its row");
    for package in metadata.workspace_packages() {
        let allowed = known[package.name.as_str()];
        for dependency in package
            .dependencies
            .iter()
            .filter(|other| members.contains(&other.name))
        {
            assert!(
                allowed.contains(&dependency.name.as_str()),
                "{} must not import {} ({:?})",
                package.name,
                dependency.name,
                dependency.kind
            );
        }
    }
}

#[test]
fn the_codec_has_one_dependency() {
    let metadata = metadata();
    let normal: Vec<_> = member(&metadata, "quince-codec")
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == cargo_metadata::DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect();
    assert_eq!(normal, ["bytes"]);
}

#[test]
fn our_broker_reaches_the_suite_only_by_a_feature() {
    let metadata = metadata();
    let suite = member(&metadata, "quince-conformance");
    for name in EMBEDDED {
        let edges: Vec<_> = suite
            .dependencies
            .iter()
            .filter(|dependency| dependency.name == *name)
            .collect();
        assert!(
            edges.iter().all(|edge| edge.optional),
            "{name} is optional in the suite"
        );
        let feature = format!("dep:{name}");
        let behind: Vec<_> = suite
            .features
            .iter()
            .filter(|(_, parts)| parts.contains(&feature))
            .map(|(feature, _)| feature.as_str())
            .collect();
        assert_eq!(behind, ["embedded"]);
    }
}

#[test]
fn there_is_one_tls_and_one_of_each_of_our_libraries() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        versions
            .entry(package.name.as_str())
            .or_default()
            .insert(package.version.to_string());
    }
    for name in [
        "bytes",
        "quinn",
        "quinn-proto",
        "rustls",
        "rustls-webpki",
        "tokio-rustls",
        "tokio",
        "aws-lc-rs",
    ] {
        assert_eq!(versions[name].len(), 1, "{name}: {:?}", versions[name]);
    }
    // A second cryptography library makes rustls unable to choose, and ours is aws-lc-rs.
    let used: BTreeSet<_> = metadata
        .resolve
        .as_ref()
        .expect("resolved")
        .nodes
        .iter()
        .flat_map(|node| &node.features)
        .map(|feature| feature.to_string())
        .collect();
    assert!(
        !used.contains("ring"),
        "no crate has its feature 'ring' switched on"
    );
}
