//! Every limit, pinned: a changed default is a visible difference.

use quince_broker::Settings;

#[test]
fn defaults_are_those_of_the_design() {
    insta::assert_debug_snapshot!(Settings::default());
}
