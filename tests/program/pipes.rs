//! The program over named pipes and mailslots.

use crate::common::{Finished, Running, roundtrip, run};

/// A name of a test's own.
fn name(scheme: &str, test: &str) -> String {
    format!("{scheme}:roundtrip-{test}-{}", std::process::id())
}

/// A server that serves one client.
fn serve(endpoint: &str, clients: &str) -> Running {
    let mut server = Running::start(&mut roundtrip(["serve", endpoint, clients]));
    assert_eq!(server.line(), format!("listening {}", endpoint.replacen(':', " ", 1)));
    server
}

fn assert_ok(finished: &Finished, says: &str) {
    assert!(finished.code == Some(0) && finished.stdout.contains(says), "{finished:?}");
}

#[test]
fn every_byte_comes_back_over_a_pipe_of_bytes_and_of_messages() {
    for kind in ["", ",type=message"] {
        let endpoint = name("pipe", "check") + kind;
        let server = serve(&endpoint, "--once");
        assert_ok(
            &run(&mut roundtrip(["check", &endpoint, "--bytes", "1MB"])),
            "1,000,000 bytes back in order",
        );
        assert_eq!(server.wait().code, Some(0));
    }
}

#[test]
fn many_connections_and_their_messages_come_back() {
    for kind in ["", ",type=message"] {
        let endpoint = name("pipe", "many") + kind;
        let mut server = serve(&endpoint, "--max-conns=20");
        assert_ok(&run(&mut roundtrip(["check", &endpoint, "-c", "5", "--bytes", "100kB"])), "back in order");
        assert_ok(&run(&mut roundtrip(["load", &endpoint, "-c", "5", "--count", "500"])), "500 messages");
        server.kill();
    }
}

#[test]
fn a_text_comes_back_over_a_pipe() {
    for kind in ["", ",type=message"] {
        let endpoint = name("pipe", "send") + kind;
        let server = serve(&endpoint, "--once");
        assert_ok(&run(&mut roundtrip(["send", &endpoint])), "Bytes received: 14");
        assert_eq!(server.wait().code, Some(0));
    }
}

#[test]
fn what_a_pipe_cannot_do_is_refused_with_a_way_out() {
    for (args, code, says, way_out) in [
        (
            &["check", "pipe:a", "--half-close", "on"][..],
            2,
            "pipe:a has no half-close",
            "leave out --half-close",
        ),
        (
            &["check", "pipe:a", "--driver", "smol"],
            2,
            "no --driver smol with pipe:a",
            "leave out --driver smol",
        ),
        (&["serve", "pipe:a", "--threads", "2"], 2, "no --threads with pipe:a", "leave out --threads"),
        (&["serve", "pipe:a", "127.0.0.1:0"], 2, "on pipes or on sockets", "for each"),
        (&["check", "pipe:nobody-has-this"], 4, "cannot connect to pipe:nobody-has-this", "roundtrip serve"),
        (&["post", "mailslot:nobody-reads-this", "x"], 4, "nobody reads", "roundtrip listen"),
    ] {
        let refused = run(&mut roundtrip(args));
        assert_eq!(refused.code, Some(code), "{refused:?}");
        assert!(refused.stderr.contains(says) && refused.stderr.contains(way_out), "{refused:?}");
    }
}

#[test]
fn a_pipe_of_another_kind_is_told() {
    let endpoint = name("pipe", "kind");
    let mut server = serve(&endpoint, "--once");
    let refused = run(&mut roundtrip(["check", &format!("{endpoint},type=message")]));
    assert!(refused.code == Some(4) && refused.stderr.contains("a pipe of bytes"), "{refused:?}");
    server.kill();
}

/// A reader of this mailslot.
fn listen(endpoint: &str, options: &[&str]) -> Running {
    let mut listener = Running::start(&mut roundtrip(["listen", endpoint].iter().chain(options)));
    assert!(listener.error_line().starts_with("listening mailslot "));
    listener
}

#[test]
fn what_is_posted_to_a_mailslot_is_heard() {
    let endpoint = name("mailslot", "heard");
    let listener = listen(&endpoint, &["--once"]);
    let posted = run(&mut roundtrip(["post", &endpoint, "--number", "one", "two"]));
    assert_ok(&posted, "posted 2 messages");
    let heard = listener.wait();
    assert_eq!(heard.code, Some(0), "{heard:?}");
    assert!(heard.stdout.contains("one") && heard.stdout.contains("two"), "{heard:?}");
}

/// Message 2 is not posted: the numbers around it tell.
#[test]
fn what_is_missing_in_a_mailslot_is_reported() {
    let endpoint = name("mailslot", "gaps");
    let listener = listen(&endpoint, &["--once"]);
    let Some((_, slot)) = endpoint.split_once(':') else { unreachable!() };
    let mut slot = std::fs::File::options().write(true).open(format!(r"\\.\mailslot\{slot}")).unwrap();
    let sender = roundtrip_messages::Sender::with_number(36_u64.pow(5));
    let numbered = |number: u64, text| {
        let number = std::num::NonZeroU64::new(number).unwrap();
        roundtrip_messages::Sequenced::Message { sender, number, text }.compose()
    };
    let end = roundtrip_messages::Sequenced::End { sender, total: 3 }.compose();
    for message in [numbered(1, b"one"), numbered(3, b"three"), end] {
        std::io::Write::write_all(&mut slot, &message).unwrap();
    }
    let heard = listener.wait();
    assert_eq!(heard.code, Some(1), "{heard:?}");
    assert!(heard.stderr.contains('2'), "{heard:?}");
}

#[test]
fn listening_to_a_mailslot_ends_after_its_time() {
    let endpoint = name("mailslot", "time");
    let heard = run(&mut roundtrip(["listen", &endpoint, "--for", "100ms"]));
    assert_eq!(heard.code, Some(0), "{heard:?}");
}

#[test]
fn a_longer_message_than_a_mailslot_takes_is_refused() {
    let endpoint = name("mailslot", "long");
    let mut listener = listen(&endpoint, &[]);
    let refused = run(&mut roundtrip(["post", &format!("{endpoint},max=4"), "hello"]));
    assert!(refused.code == Some(2) && refused.stderr.contains("max"), "{refused:?}");
    listener.kill();
}

#[test]
fn a_mailslot_has_one_reader() {
    let endpoint = name("mailslot", "one");
    let mut first = listen(&endpoint, &[]);
    let second = run(&mut roundtrip(["listen", &endpoint]));
    assert!(second.code == Some(4) && second.stderr.contains("one reader"), "{second:?}");
    first.kill();
}
