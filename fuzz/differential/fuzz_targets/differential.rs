//! libFuzzer calls the target `differential`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_differential::differential(bytes));
