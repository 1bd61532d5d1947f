#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| roundtrip_fuzzing::http_ops(bytes));
