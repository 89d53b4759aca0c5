//! libFuzzer calls the target `store`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::store(bytes));
