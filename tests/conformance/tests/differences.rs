//! Where the simulator is known to do otherwise than a kernel: each of these scripts comes to its end on sockets, and
//! not in the simulator. One that does after all is to be struck from the README's table and to join the others.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod backends;

use backends::shipped;
use backends::simulated::Simulated;
use backends::sockets::Sockets;
use roundtrip_conformance::{Script, check};
use roundtrip_sim::choose::{Family, Faults};

/// Linux lets a reader have the end that came before a reset; the simulator tells of the reset only.
const RESET_BEHIND_THE_END: &str = "
    script reset-behind-the-end
    client
      send 5
      expect 5
      half-close
      flush
      reset
      server clean received 5 echoed 5
";

/// A kernel resets what is in the backlog when the listener is closed; the simulator closes it in order.
const BACKLOG_OF_A_FORCED_SERVER: &str = "
    script backlog-of-a-forced-server
    door connections 1
    together
    client
      send 5
      expect 5
      force-server
      expect-reset
      server aborted received 5 echoed 5
    client
      expect-reset
      server never
";

fn disagreements(text: &str, faults: Faults, seeds: u64) -> Vec<String> {
    let script: Script = text.trim().parse().unwrap();
    check(&Sockets { session: shipped }, &script).unwrap();
    let mut found = Vec::new();
    Simulated { seed: 1, faults, session: shipped }.campaign(&script, 0..seeds, |_, observed| {
        found.extend(script.judge(&observed.unwrap()).err().map(|disagreement| disagreement.observed));
    });
    found
}

#[test]
fn a_reset_that_comes_before_the_end_is_read_hides_it() {
    let late =
        Family::ALL.into_iter().filter(|family| *family != Family::Slow).fold(Faults::ALL, Faults::without);
    let found = disagreements(RESET_BEHIND_THE_END, late, 200);
    assert!(found.iter().all(|found| found == "server reset received 5 echoed 5 dropped 0"), "{found:?}");
    assert!(!found.is_empty());
}

#[test]
fn a_closed_listener_ends_its_backlog_in_order() {
    let found = disagreements(BACKLOG_OF_A_FORCED_SERVER, Faults::NONE, 1);
    assert_eq!(found, ["step 1, `expect-reset`: the end, 0 bytes sent, 0 echoed"]);
}
