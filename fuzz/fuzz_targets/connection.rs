//! libFuzzer calls the target `connection`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::connection(bytes));
