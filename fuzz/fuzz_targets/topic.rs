//! libFuzzer calls the target `topic`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::topic(bytes));
