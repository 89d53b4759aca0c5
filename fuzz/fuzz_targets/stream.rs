//! libFuzzer calls the target `stream`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::stream(bytes));
