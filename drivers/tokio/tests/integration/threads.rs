//! The tests that every socket driver must pass, with sessions on several threads.

use crate::suite::Tokio;

type ThreeThreads = Tokio<3>;

roundtrip_testkit::socket_driver_tests!(ThreeThreads);
