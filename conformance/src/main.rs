//! The command `quince-conformance`.

fn main() {}
