//! A script whose end hangs on who is let in first: it comes to the same end on sockets and on a calm network, and a
//! network that changes the order of connections may change it.

use crate::backends::simulated::Simulated;
use crate::backends::{resets_are_told, shipped};
use roundtrip_conformance::sockets::{OnSockets, Tcp};
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
        check(&OnSockets::new(Tcp(roundtrip_std::Std)), &script).unwrap();
        check(&OnSockets::new(Tcp(roundtrip_smol::Smol::default())), &script).unwrap();
    }
    #[cfg(unix)]
    check(&OnSockets::new(Tcp(roundtrip_tokio::Tokio::default())), &script).unwrap();
    #[cfg(unix)]
    check(&OnSockets::new(Tcp(roundtrip_reactor::Reactor::default())), &script).unwrap();
    #[cfg(target_os = "linux")]
    check(&OnSockets::new(Tcp(roundtrip_uring::Uring::default())), &script).unwrap();
    let calm = Simulated { seed: 1, faults: Faults::NONE, session: shipped };
    calm.campaign(&script, 0..1, |_, observed| script.judge(&observed.unwrap()).unwrap());
}
