//! libFuzzer calls the target `operations`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::operations(bytes));
