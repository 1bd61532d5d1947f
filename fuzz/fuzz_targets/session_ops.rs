#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| roundtrip_fuzzing::session_ops(bytes));
