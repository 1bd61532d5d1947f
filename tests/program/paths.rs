//! What `check` says of paths and peers that do not answer: what the system's TCP knows tells them apart.

use std::net::TcpListener;

use crate::common::namespace::Namespace;
use crate::common::{Finished, ROUNDTRIP, Running, roundtrip, run, schema, skip, with_every_driver};

with_every_driver! {
    a_peer_that_reads_nothing_is_told_from_one_that_does_not_answer
    packets_that_are_too_large_for_the_path_are_told_from_a_silent_server
}

/// The system accepts the connection and fills the receive buffer.
fn a_peer_that_reads_nothing_is_told_from_one_that_does_not_answer(driver: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let check = |options: &[&str]| {
        let mut command = roundtrip(["check", &endpoint, "--driver", driver, "--timeout", "1s"]);
        run(command.args(options))
    };
    let Finished { code, stdout, .. } = check(&["--bytes", "64MB", "--window", "64MiB"]);
    assert_eq!(code, Some(3), "{stdout}");
    assert!(
        stdout.contains("; the peer's TCP acknowledged ")
            && stdout.contains(", and its receive window is full\n"),
        "{stdout}"
    );
    assert!(
        stdout.contains("\n  likely: the peer does not read: it is no echo server, or stuck\n"),
        "{stdout}"
    );
    let Finished { code, stdout, .. } = check(&["--bytes", "1kB"]);
    assert_eq!(code, Some(3), "{stdout}");
    assert!(stdout.contains("; the peer's TCP acknowledged 1,000 of 1,000 bytes\n"), "{stdout}");
    let likely = "\n  likely: the peer has it all and sent nothing: it is no echo server, or stuck, or the path back is broken; --half-close off \
                  shows whether it is only that\n";
    assert!(stdout.contains(likely), "{stdout}");
}

/// A link that drops what is longer than 1,300 bytes, and sends no ICMP (RFC 2923 section 2.1).
fn packets_that_are_too_large_for_the_path_are_told_from_a_silent_server(driver: &str) {
    let names = ["near", "router", "far"].map(|host| format!("mtu-{driver}-{host}"));
    let [near, router, far] = names.map(|name| Namespace::new(&name, "127.0.0.1 localhost\n"));
    let (Some(near), Some(router), Some(far)) = (near, router, far) else { return };
    near.wire_to(&router);
    // A segment is a packet.
    near.ip("link set wire gso_max_segs 1");
    near.ip("route add 198.51.100.0/24 via 192.0.2.2");
    router.ip(&format!("link add narrow type veth peer name narrow netns {}", far.id()));
    router.ip("address add 198.51.100.1/24 dev narrow");
    router.ip("link set narrow up");
    far.ip("address add 198.51.100.2/24 dev narrow");
    // It takes no longer packets than these, and does not tell the other end.
    far.ip("link set narrow mtu 1300 up");
    far.ip("route change 198.51.100.0/24 dev narrow advmss 1460");
    far.ip("route add 192.0.2.0/24 via 198.51.100.1 advmss 1460");
    let forward = router.command("sh").args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]).status();
    assert!(forward.unwrap().success());
    let mut server = Running::start(far.command(ROUNDTRIP).args(["serve", "198.51.100.2:7007"]));
    server.line();
    let check = |options: &[&str]| {
        let mut command = near.command(ROUNDTRIP);
        command.args(["check", "198.51.100.2:7007", "--driver", driver, "--timeout", "2s"]);
        run(command.args(options))
    };
    let assert_says = |checked: &Finished, words: &[&str]| {
        assert_eq!(checked.code, Some(3), "{checked:?}");
        for words in words {
            assert!(checked.stdout.contains(words), "`{words}` is missing: {}", checked.stdout);
        }
    };
    let none = "; the peer's TCP acknowledged 0 of ";
    let again = " bytes, and what followed was sent ";
    let large = "\n  likely: the path drops large packets, here of up to 1,448 bytes and headers (MTU): lower the MTU, or clamp the MSS; ";
    assert_says(&check(&[]), &[none, again, large, "--sizes 400,1200,1400 shows what passes\n"]);
    assert_says(
        &check(&["--sizes", "400,1200,1400"]),
        &["; the peer's TCP acknowledged 0 of 1,400 bytes, ", "1,200 bytes passed before\n"],
    );
}

/// A name with an IPv6 address to which packets go and from which none come.
#[test]
fn an_address_that_does_not_answer_is_told_although_another_one_does() {
    let hosts = "2001:db8::9 both\n127.0.0.1 both\n";
    let [near, far] = ["dead-near", "dead-far"].map(|name| Namespace::new(name, hosts));
    let (Some(near), Some(far)) = (near, far) else { return };
    near.wire_to(&far);
    if !near.ip("-6 address show dev wire").contains("2001:db8::1") {
        skip("there is no IPv6");
        return;
    }
    near.ip("-6 neighbor add 2001:db8::9 lladdr 02:00:00:00:00:09 dev wire");
    let mut server = Running::start(near.command(ROUNDTRIP).args(["serve", "127.0.0.1:7007"]));
    server.line();
    let check = |options: &[&str]| {
        let mut command = near.command(ROUNDTRIP);
        run(command.args(["check", "both:7007", "--bytes", "1kB", "--connect-timeout", "1s"]).args(options))
    };
    let checked = check(&[]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let note = checked.stdout.lines().nth(1).unwrap_or_default();
    assert!(
        note.starts_with("  note: [2001:db8::9]:7007 failed after 1.")
            && note.ends_with("; 127.0.0.1:7007 was checked"),
        "{checked:?}"
    );
    let document = schema::document(schema::check(), &check(&["--json"]));
    let check = &document["checks"][0];
    assert_eq!(
        (&check["address"], &check["unreached"][0]["address"]),
        (&"127.0.0.1:7007".into(), &"[2001:db8::9]:7007".into())
    );
    // Where none answers, each is named.
    let mut command = near.command(ROUNDTRIP);
    let refused = run(command.args(["check", "both:9", "--connect-timeout", "1s"]));
    assert!(
        refused.stderr.contains("cannot connect to both:9 ([2001:db8::9]:9: ")
            && refused.stderr.contains("; 127.0.0.1:9: Connection refused)"),
        "{refused:?}"
    );
}
