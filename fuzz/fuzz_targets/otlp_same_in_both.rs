#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ccotel_fuzz::targets::otlp_same_in_both(data));
