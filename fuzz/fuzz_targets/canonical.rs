//! libFuzzer calls the target `canonical`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::canonical(bytes));
