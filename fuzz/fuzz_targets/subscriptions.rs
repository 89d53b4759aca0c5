//! libFuzzer calls the target `subscriptions`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quince_fuzz_targets::subscriptions(bytes));
