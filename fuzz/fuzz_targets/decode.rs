//! libFuzzer calls the target `decode`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::decode(bytes));
