//! A script whose end hangs on who is let in first: it comes to the same end on sockets and on a calm network, and a
//! network that changes the order of connections may change it.

#[cfg(unix)]
use crate::backends::reactor;
use crate::backends::simulated::Simulated;
use crate::backends::{blocking, resets_are_told, shipped, smol};
use roundtrip_conformance::{Script, check};
use roundtrip_sim::choose::Faults;

#[test]
fn a_closed_listener_resets_its_backlog() {
    let script: Script = "
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
    "
    .trim()
    .parse()
    .unwrap();
    if resets_are_told() {
        check(&blocking::Sockets { session: shipped }, &script).unwrap();
        check(&smol::Sockets { session: shipped }, &script).unwrap();
    }
    #[cfg(unix)]
    check(&reactor::Sockets { session: shipped }, &script).unwrap();
    #[cfg(target_os = "linux")]
    check(&crate::backends::uring::Sockets { session: shipped }, &script).unwrap();
    let calm = Simulated { seed: 1, faults: Faults::NONE, session: shipped };
    calm.campaign(&script, 0..1, |_, observed| script.judge(&observed.unwrap()).unwrap());
}
