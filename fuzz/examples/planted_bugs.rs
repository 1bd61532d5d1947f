//! The simulator's example of the same name, in the instrumented build: one build serves the simulator and the fuzzer.

use std::process::ExitCode;

// Has copies of the simulator that need not be compiled again.
use roundtrip_fuzzing as _;

// An example is not a library: its source is all that another package can use.
#[path = "../../drivers/sim/scenarios/examples/planted_bugs.rs"]
mod planted_bugs;

fn main() -> ExitCode {
    planted_bugs::main()
}

/// Called by instrumented code at startup. Without a fuzzer, coverage is not collected.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(_start: *mut u8, _end: *mut u8) {}

/// As above, for the table of code addresses.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_pcs_init(_start: *const usize, _end: *const usize) {}
