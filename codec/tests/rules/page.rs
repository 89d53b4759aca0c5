//! The strictness table as `docs/codec.md` prints it.

use std::collections::BTreeSet;

use quince_codec::{DecodeErrorKind, PacketType};

use crate::strictness::rules;

const BEGIN: &str = "<!-- strictness table -->\n";
const END: &str = "<!-- end of strictness table -->\n";

/// The rules, in words once for each error, then each example.
fn table() -> String {
    let mut text = format!(
        "{} rules, {} kinds of error.\n",
        rules().count(),
        DecodeErrorKind::ALL.len()
    );
    let mut section = None;
    for rule in rules() {
        if section != Some(rule.section) {
            section = Some(rule.section);
            let title = rule.section.trim_end_matches('.');
            text.push_str(&format!(
                "\n#### {title}\n\n| MQTT | refused | nearest accepted | error, at byte | what is wrong | answer |\n|---|---|---|---|---|---|\n"
            ));
        }
        let (kind, offset) = rule.error.split_once(' ').unwrap();
        let message = DecodeErrorKind::ALL
            .iter()
            .find(|known| format!("{known:?}") == kind)
            .unwrap()
            .message();
        text.push_str(&format!(
            "| {} | `{}` | `{}` | `{kind}`, {offset} | {message} | {} |\n",
            rule.version, rule.refused, rule.twin, rule.answer
        ));
    }
    text
}

/// `UPDATE=1 cargo test -p quince-codec` writes the table.
#[test]
fn the_page_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/codec.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    assert!(page == wanted, "run UPDATE=1 cargo test -p quince-codec");
}

/// Every packet type has a section, but for those that are met in the fixed header only.
#[test]
fn the_table_has_a_section_for_each_packet() {
    let sections: BTreeSet<&str> = rules().map(|rule| rule.section).collect();
    for packet_type in PacketType::ALL {
        let name = format!("{packet_type}.");
        assert!(sections.contains(name.as_str()), "{name}");
    }
}
