//! libFuzzer calls the target `broker`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::broker(bytes));
