//! libFuzzer calls the target `round_trip`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::round_trip(bytes));
