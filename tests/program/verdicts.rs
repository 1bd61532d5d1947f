//! `check` against servers that misbehave, each in its own way, on every driver: the kind of the fault, its exact
//! offset and the exit code are told, and the command that is printed does the same again.

use std::thread;
use std::time::Duration;

use crate::common::adversary;
use crate::common::adversary::{Adversary, Fault, Translation, Transport};
use crate::common::schema;
use crate::common::{Finished, Running, Server, Signal, nobody, roundtrip, run, with_every_driver};
use serde_json::Value;

const TOTAL: usize = 200_000;

/// One fault, and what is to be said of it. A `*` stands for what is not ours to say, such as how long it took.
struct Row {
    fault: Fault,
    options: &'static [&'static str],
    code: i32,
    first: String,
    second: String,
    likely: &'static str,
    kind: &'static str,
    offset: usize,
    /// Connections that a check makes, with those that look for the cause.
    connections: usize,
    over_tls: bool,
}

impl Row {
    /// A fault whose first wrong offset is told.
    fn wrong(fault: Fault, kind: &'static str, offset: usize, first: &str) -> Self {
        let second = format!("  first wrong offset {offset}; every byte before it is right");
        let (first, likely) = (format!("FAIL  {kind}: {first}"), "*");
        Self {
            fault,
            options: &[],
            code: 1,
            first,
            second,
            likely,
            kind,
            offset,
            connections: 1,
            over_tls: true,
        }
    }

    /// An end at `offset` that is early, or not the right one.
    fn truncated(fault: Fault, offset: usize, first: &str, second: &str) -> Self {
        let first = format!("FAIL  {first} of 200,000 bytes came back");
        let second = &format!("{second}; * after the connection was made");
        Self {
            fault,
            options: &[],
            code: 1,
            first,
            second: missing(offset, second),
            likely: "*",
            kind: "truncated",
            offset,
            connections: 1,
            over_tls: true,
        }
    }

    /// Nothing more after `offset`.
    fn timed_out(fault: Fault, offset: usize, first: &str, second: &str) -> Self {
        let first = format!("FAIL  timed out: {first} of 200,000 bytes came back, then nothing moved for 1s");
        let second = missing(offset, second);
        Self {
            fault,
            options: &["--timeout", "1s"],
            code: 3,
            first,
            second,
            likely: "*",
            kind: "timed_out",
            offset,
            connections: 1,
            over_tls: true,
        }
    }

    fn with(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// It ends before the handshake is over, where nothing was checked yet.
    fn without_tls(self) -> Self {
        Self { over_tls: false, ..self }
    }

    fn making(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    fn likely(self, likely: &'static str) -> Self {
        Self { likely, ..self }
    }
}

fn missing(offset: usize, more: &str) -> String {
    match offset {
        TOTAL => format!("  every byte is right; {more}"),
        _ => format!("  first missing offset {offset}; every byte before it is right; {more}"),
    }
}

/// So that a server can read everything first.
const AT_ONCE: &[&str] = &["--window", "1MiB"];

fn flips() -> Vec<Row> {
    let flip = |at| Row::wrong(Fault::Flip { at }, "corrupted", at, "bytes came that were never sent");
    let mut rows: Vec<_> = [1, 65_536, 123_457, TOTAL - 1].map(flip).into();
    let bits = "bits are flipped: faulty memory, or a program that changes the bytes";
    rows.push(flip(0).likely(bits));
    rows.push(flip(123_457).with(AT_ONCE).likely(bits));
    rows
}

/// The offset of the first of these bytes in the payload.
fn first_of(bytes: &[u8]) -> usize {
    let mut payload = vec![0; TOTAL];
    roundtrip_echo::Payload::seeded(24301, TOTAL as u64).fill(0, &mut payload);
    payload.iter().position(|byte| bytes.contains(byte)).unwrap()
}

/// What terminals, telnet servers and serial lines make of bytes.
fn translations() -> Vec<Row> {
    let translated = |translation, kind, offset, first: &str, likely| {
        Row::wrong(Fault::Translate(translation), kind, offset, first).likely(likely)
    };
    let high: Vec<_> = (0x80..=0xff).collect();
    vec![
        translated(
            Translation::NewLines,
            "inserted",
            first_of(b"\n"),
            "1 foreign byte came between the right ones",
            "LF becomes CR LF: *",
        ),
        translated(
            Translation::Telnet,
            "corrupted",
            first_of(&[0xff]) + 1,
            "bytes came that were never sent",
            "0xff is doubled: *",
        ),
        translated(
            Translation::FlowControl,
            "lost",
            first_of(&[0x11, 0x13]),
            "* missing in the middle",
            "XON and XOFF (0x11, 0x13) are removed: *",
        ),
        translated(
            Translation::SevenBits,
            "corrupted",
            first_of(&high),
            "bytes came that were never sent",
            "the eighth bit is removed: *",
        ),
    ]
}

/// Foreign bytes between the right ones, and in the place of others.
fn insertions() -> Vec<Row> {
    let insert = |at, bytes: &'static [u8], words: &str, likely| {
        let first = format!("{words} came between the right ones");
        Row::wrong(Fault::Insert { at, bytes }, "inserted", at, &first).likely(likely)
    };
    let replaced = |bytes| Fault::Replace { at: 5000, bytes, by: &[0; 100] };
    let corrupted = |bytes| Row::wrong(replaced(bytes), "corrupted", 5000, "bytes came that were never sent");
    vec![
        insert(100_000, b"\x01\x02\x03", "3 foreign bytes", "a program on the path adds bytes of its own, *"),
        insert(1, b"\xff\xfd\x01\xff\xfd\x03", "6 foreign bytes", "telnet negotiation: *"),
        corrupted(100),
        corrupted(200),
        corrupted(50),
    ]
}

/// Services that are no echo server.
fn services() -> Vec<Row> {
    let answer = |bytes: &'static [u8], line: &str, service: &'static str| Row {
        fault: Fault::Answer(bytes),
        options: &[],
        code: 1,
        first: format!("FAIL  not an echo server: the peer sent {line}"),
        second: "  first wrong offset 0; every byte before it is right".to_owned(),
        likely: service,
        kind: "not_echo",
        offset: 0,
        connections: 1,
        over_tls: true,
    };
    vec![
        answer(
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            "\"HTTP/1.1 400 Bad Request\"",
            "the peer speaks HTTP",
        ),
        answer(b"SSH-2.0-OpenSSH_9.2\r\n", "\"SSH-2.0-OpenSSH_9.2\"", "the peer speaks SSH"),
        answer(b"\x15\x03\x01\x00\x02\x02\x46", "15 03 01 00 02 02 46 *", "the peer speaks TLS"),
    ]
}

fn losses() -> Vec<Row> {
    let lose = |at, bytes, words: &str| {
        Row::wrong(Fault::Lose { at, bytes }, "lost", at, &format!("{words} missing in the middle"))
    };
    vec![
        lose(0, 1, "1 byte is"),
        lose(100_001, 1000, "1,000 bytes are"),
        lose(100_001, 1000, "1,000 bytes are").with(AT_ONCE),
        lose(TOTAL - 17, 1, "1 byte is"),
    ]
}

fn duplicates() -> Vec<Row> {
    [(4096, 4096, "4,096"), (100_003, 77, "77")]
        .map(|(at, bytes, words)| {
            Row::wrong(Fault::Duplicate { at, bytes }, "duplicated", at, &format!("{words} bytes came twice"))
        })
        .into()
}

fn swaps() -> Vec<Row> {
    [4096, 16]
        .map(|bytes| {
            let fault = Fault::Swap { at: 50_000, bytes };
            Row::wrong(fault, "reordered", 50_000, "the right bytes in the wrong order")
        })
        .into()
}

fn additions() -> Vec<Row> {
    let add = |bytes: &'static [u8], words: &str| {
        let first = format!("at least {words} more came than were sent");
        Row::wrong(Fault::Trailing(bytes), "trailing", TOTAL, &first)
    };
    vec![add(b"OK\r\n!", "5 bytes"), add(b"!", "1 byte")]
}

fn early_ends() -> Vec<Row> {
    let early = |at, words: &str, end: &str| {
        Row::truncated(Fault::EarlyFin { at }, at, &format!("peer closed early: {words}"), end)
    };
    vec![
        early(
            100_000,
            "100,000",
            "FIN, not RST, before our FIN, * after the last byte; * bytes on their way",
        )
        .making(2)
        .likely("a limit of 100,000 bytes on a connection: another one was cut after as many"),
        early(0, "0", "FIN, not RST, before our FIN*")
            .likely("the peer is no echo server, or refuses this client")
            .without_tls(),
    ]
}

/// What a proxy does that takes a half-close for the end.
fn ends_that_answer_a_half_close() -> Vec<Row> {
    let ended = |fault, at, words: &str, end: &str| {
        Row::truncated(fault, at, &format!("peer closed early: {words}"), end).with(AT_ONCE)
    };
    let dropped = |at, words: &str, way: &str| {
        let end = format!("FIN, not RST, * after our FIN*; {way} bytes on their way");
        ended(Fault::DropAfterHalfClose { at }, at, words, &end)
            .likely("something on the path * half-close; --half-close off shows whether it is only that")
    };
    let waited = Fault::HalfCloseTimeout { at: 10_000, time: Duration::from_secs(1) };
    let end = "FIN, not RST, *.* s after our FIN*; 190,000 bytes on their way";
    vec![
        dropped(0, "0", "200,000"),
        dropped(150_000, "150,000", "50,000"),
        ended(waited, 10_000, "10,000", end)
            .likely("something on the path gives up about * s after a half-close; --half-close off *"),
    ]
}

/// Less than a quarter of the client's window is echoed, so that it waits for more, and reads all of that before the
/// reset.
fn resets() -> Vec<Row> {
    let reset = |at, words: &str, way: &str| {
        let end = format!("RST, not FIN, before our FIN, * after the last byte; {way} bytes on their way");
        let fault = Fault::Reset { at, read: 65_536 };
        Row::truncated(fault, at, &format!("connection reset: {words}"), &end).with(&["--window", "64KiB"])
    };
    let whole = "connection reset: 200,000";
    vec![
        reset(10_000, "10,000", "55,536")
            .making(2)
            .likely("a limit of 10,000 bytes on a connection: another one was cut after as many"),
        reset(0, "0", "65,536").likely("the server refuses this client, or crashed, *"),
        Row::truncated(Fault::ResetForFin { at: 10_000 }, 10_000, "connection reset: 10,000", "RST, not FIN, * after our FIN*; 190,000 bytes on their way")
            .with(AT_ONCE)
            .likely("something on the path throws away at a half-close what it has already taken, or the server crashed; --half-close off *"),
        Row::truncated(Fault::ResetForFin { at: TOTAL }, TOTAL, whole, "RST, not FIN, * after our FIN*")
            .likely("the server, or a proxy, ends with a reset where it should close; --half-close off *"),
    ]
}

/// Servers that wait for their client, as it waits for them.
fn silences() -> Vec<Row> {
    let stall = |at, words: &str, awaited: &str| Row::timed_out(Fault::Stall { at }, at, words, awaited);
    vec![
        stall(0, "0", "awaited, before our FIN: 65,536 bytes on their way*")
            .making(2)
            .likely("the peer *no echo server*waits for more*"),
        stall(10_000, "10,000", "awaited, before our FIN: 55,536 bytes on their way*")
            .making(2)
            .likely("the server, or a proxy, is stuck"),
        stall(150_000, "150,000", "awaited, * after our FIN: 50,000 bytes on their way, and the peer's end*")
            .with(&["--window", "1MiB", "--timeout", "1s"]),
        Row::timed_out(
            Fault::NoHalfClosePassed,
            TOTAL,
            "200,000",
            "awaited, * after our FIN: nothing but the peer's end*",
        )
        .likely("something on the path does not pass on a half-close; --half-close off *"),
    ]
}

/// A tunnel that passes on whole blocks.
fn withheld_tails() -> Vec<Row> {
    let fault = Fault::Withhold { block: 8192 };
    let likely = "something on the path passes on whole blocks, and the rest only at a half-close: *";
    let found = Row {
        second: "  first withheld offset 98304; every byte is right".to_owned(),
        ..Row::wrong(
            fault,
            "withheld",
            98_304,
            "the last 1,687 bytes came only after our half-close, which was 500ms later",
        )
    };
    let hangs =
        Row::timed_out(fault, 196_608, "196,608", "awaited, before our FIN: 3,392 bytes on their way*");
    vec![
        found.with(&["--timeout", "1s"]).making(3).likely(likely),
        hangs
            .with(&["--half-close", "off", "--timeout", "1s"])
            .making(2)
            .likely("something on the path *; on another connection, the last 1,687 bytes did so"),
    ]
}

/// An idle time-out of a second against a pause of a minute.
fn idle_ends() -> Vec<Row> {
    let end = "FIN, not RST, before our FIN, * after the last byte";
    let first = "peer closed while nothing moved, * into a pause: 100,000";
    let idle = Row::truncated(Fault::IdleTimeout(Duration::from_secs(1)), 100_000, first, end);
    let silent = |millis, likely| {
        let forgotten = Fault::Forget(Duration::from_millis(millis));
        let awaited = "awaited, before our FIN: 65,536 bytes on their way*";
        Row::timed_out(forgotten, 100_000, "100,000", awaited)
            .with(&["--pause", "600ms", "--timeout", "1s"])
            .making(2)
            .likely(likely)
    };
    vec![
        idle.with(&["--pause", "1m"]).likely("an idle timeout of about * on the path"),
        silent(
            100,
            "an idle timeout on the path of less than 300ms, without an end, as of a NAT or a firewall",
        ),
        silent(450, "an idle timeout on the path of between 300ms and 600ms, without an end, as of *"),
    ]
}

with_every_driver! {
    a_flipped_bit_is_corruption_at_its_byte
    known_translations_are_named
    foreign_bytes_are_inserted_or_corrupt
    another_service_is_named
    lost_bytes_are_counted_where_the_first_is_missing
    duplicated_bytes_are_counted_where_the_first_comes_again
    two_swapped_blocks_are_reordered_bytes_from_the_first_on
    bytes_after_the_end_are_trailing
    an_end_before_ours_is_early_and_no_reset
    an_end_that_answers_our_half_close_is_told_from_an_earlier_one
    a_reset_is_told_from_an_end
    a_server_that_goes_silent_is_given_up
    bytes_that_come_only_at_a_half_close_are_found
    a_limit_on_the_age_of_connections_is_told_from_one_on_their_bytes
    a_server_of_one_connection_is_checked_with_a_note
    an_end_in_the_pause_is_an_idle_time_out
    a_delay_is_no_fault
    without_a_half_close_the_end_is_nobodys_business
    a_path_that_fails_a_slow_reader_is_found
    a_slow_reader_is_not_blamed_for_what_the_half_close_does
    a_good_server_passes_every_test
    of_many_connections_the_first_fault_is_told_and_the_others_are_counted
    connections_that_are_mixed_up_are_found
    a_real_fault_is_told_before_a_time_out
    wrong_bytes_that_keep_coming_do_not_delay_the_verdict
    rounds_end_with_the_first_that_fails
    what_the_run_has_shown_is_part_of_the_cause
    each_size_is_a_check_of_its_own
    an_interrupted_check_is_incomplete
    an_interrupted_check_of_many_connections_is_incomplete
    a_single_byte_is_checked
    nobody_there_is_neither_a_success_nor_a_fault
    without_an_endpoint_the_loopback_is_checked
}

fn a_flipped_bit_is_corruption_at_its_byte(driver: &str) {
    expect(driver, &flips());
}

fn known_translations_are_named(driver: &str) {
    expect(driver, &translations());
}

fn foreign_bytes_are_inserted_or_corrupt(driver: &str) {
    expect(driver, &insertions());
}

fn another_service_is_named(driver: &str) {
    expect(driver, &services());
}

fn lost_bytes_are_counted_where_the_first_is_missing(driver: &str) {
    expect(driver, &losses());
}

fn duplicated_bytes_are_counted_where_the_first_comes_again(driver: &str) {
    expect(driver, &duplicates());
}

fn two_swapped_blocks_are_reordered_bytes_from_the_first_on(driver: &str) {
    expect(driver, &swaps());
}

fn bytes_after_the_end_are_trailing(driver: &str) {
    expect(driver, &additions());
}

fn an_end_before_ours_is_early_and_no_reset(driver: &str) {
    expect(driver, &early_ends());
}

fn an_end_that_answers_our_half_close_is_told_from_an_earlier_one(driver: &str) {
    expect(driver, &ends_that_answer_a_half_close());
}

fn a_reset_is_told_from_an_end(driver: &str) {
    expect(driver, &resets());
}

fn a_server_that_goes_silent_is_given_up(driver: &str) {
    // Each waits for a time-out.
    thread::scope(|scope| {
        for row in silences() {
            scope.spawn(move || expect(driver, &[row]));
        }
    });
}

fn bytes_that_come_only_at_a_half_close_are_found(driver: &str) {
    expect(driver, &withheld_tails());
}

/// It waits for what is withheld before all is sent.
#[test]
fn a_small_window_does_not_hide_that_bytes_are_withheld() {
    let adversary = Adversary::start(Transport::Tcp, &[Fault::Withhold { block: 8192 }; 2]);
    let checked = check("std", &adversary, &["--window", "1", "--timeout", "1s"]);
    assert_eq!(checked.code, Some(3), "{checked:?}");
    assert!(checked.stdout.contains("; on another connection, the last 1,687 bytes did so\n"), "{checked:?}");
}

/// Two connections, one of which is slower than the other.
fn a_limit_on_the_age_of_connections_is_told_from_one_on_their_bytes(driver: &str) {
    let limit = |each| Fault::AgeLimit { age: Duration::from_millis(500), each: Duration::from_millis(each) };
    let adversary = Adversary::start(Transport::Tcp, &[limit(5), limit(9)]);
    let checked = check(driver, &adversary, &["--sizes", "100MB"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let likely = checked.stdout.lines().find(|line| line.starts_with("  likely: ")).unwrap_or_default();
    let expected = "  likely: a limit of about * on a connection's age: another one was cut at that age, with * bytes back";
    assert!(is_like(likely, expected), "{checked:?}");
}

/// One connection is all that the server takes.
fn a_server_of_one_connection_is_checked_with_a_note(driver: &str) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let served = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        std::io::copy(&mut &stream, &mut &stream).unwrap();
    });
    let checked = run(&mut roundtrip(["check", &endpoint, "--bytes", "20k", "--driver", driver]));
    served.join().unwrap();
    assert_ok(
        &checked,
        "ok  20,000 bytes back in order, clean end, * s, *\n  note: bytes withheld until the half-close were not looked for: \
         a further connection failed (*refused*)",
    );
}

fn an_end_in_the_pause_is_an_idle_time_out(driver: &str) {
    expect(driver, &idle_ends());
}

/// What `check` says of the first client, as text and as a document, then of the next, with the command that it prints.
#[track_caller]
fn expect(driver: &str, rows: &[Row]) {
    let schema = schema::check();
    for &transport in Transport::of(driver) {
        let is_possible =
            |row: &&Row| row.fault.is_possible(transport) && (row.over_tls || transport != Transport::Tls);
        for row in rows.iter().filter(is_possible) {
            // Then the one that repeats it is served well.
            let adversary = Adversary::start(transport, &vec![row.fault; 2 * row.connections]);
            let fault = row.fault;
            let checked = check(driver, &adversary, row.options);
            assert_eq!((checked.code, &*checked.stderr), (Some(row.code), ""), "{fault:?}: {checked:?}");
            let lines: Vec<_> = checked.stdout.lines().collect();
            let likely = format!("  likely: {}", row.likely);
            let said = lines.iter().find(|line| line.starts_with("  likely: ")).unwrap_or(&"");
            for (line, expected) in [(lines[0], &row.first), (lines[1], &row.second), (said, &likely)] {
                assert!(is_like(line, expected), "{fault:?}: `{line}` is not `{expected}`");
            }
            let document = json(driver, &adversary, row.options);
            let document = schema::document(schema, &document);
            let fault = &document["checks"][0]["fault"];
            assert_eq!(
                (&document["result"], &fault["kind"]),
                (&"failed".into(), &row.kind.into()),
                "{document:#}"
            );
            assert_eq!(fault["offset_bytes"], row.offset, "{document:#}");
            assert_eq!(document["exit"], row.code);
            repeats(&lines, row.options);
        }
    }
}

/// Carries out the command in the last line, which repeats all these options.
#[track_caller]
fn repeats(lines: &[&str], options: &[&str]) {
    let again = lines.last().unwrap().strip_prefix("  again: roundtrip ").unwrap();
    let words: Vec<_> = again.split(' ').collect();
    assert!(words.windows(2).any(|pair| pair == ["--seed", "24301"]), "{again}");
    for name in options.iter().filter(|option| option.starts_with("--")) {
        assert!(words.contains(name), "{name} is missing: {again}");
    }
    // A pause is long.
    if !words.contains(&"--pause") {
        let checked = run(&mut roundtrip(words));
        assert_eq!(checked.code, Some(0), "{again}: {checked:?}");
        assert!(checked.stdout.starts_with("ok  200,000 bytes back in order"), "{checked:?}");
    }
}

/// Whether `line` is what is expected, with anything for each `*`.
fn is_like(line: &str, expected: &str) -> bool {
    let mut parts = expected.split('*');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

#[test]
fn a_star_stands_for_anything() {
    for (line, expected, is) in [
        ("abc", "abc", true),
        ("abc", "ab", false),
        ("abc", "*", true),
        ("abc", "a*", true),
        ("abc", "a*c", true),
        ("abc", "a*d", false),
        ("abcd", "a*c*", true),
        ("abcd", "b*c*", false),
        ("a1b2c", "a*b*c", true),
        ("a1b2d", "a*b*c", false),
    ] {
        assert_eq!(is_like(line, expected), is, "{line} {expected}");
    }
}

fn check(driver: &str, adversary: &Adversary, options: &[&str]) -> Finished {
    let total = TOTAL.to_string();
    let mut command = roundtrip(["check"].into_iter().chain(adversary.arguments()));
    command.args(["--seed", "24301", "--driver", driver]);
    if !options.contains(&"--sizes") {
        command.args(["--bytes", &total]);
    }
    run(command.args(options))
}

fn json(driver: &str, adversary: &Adversary, options: &[&str]) -> Finished {
    check(driver, adversary, &[options, &["--json"]].concat())
}

#[track_caller]
fn assert_ok(checked: &Finished, line: &str) {
    assert_eq!((checked.code, &*checked.stderr), (Some(0), ""), "{checked:?}");
    let told = checked.stdout.strip_suffix('\n').unwrap();
    assert!(is_like(told, line), "`{told}` is not `{line}`");
}

fn a_delay_is_no_fault(driver: &str) {
    let delay = Fault::Delay { at: 100_000, time: Duration::from_millis(50) };
    for &transport in Transport::of(driver) {
        let checked = check(driver, &Adversary::start(transport, &[delay]), &[]);
        assert_ok(&checked, "ok  200,000 bytes back in order*, clean end, * s, */s*");
    }
}

fn without_a_half_close_the_end_is_nobodys_business(driver: &str) {
    for &transport in Transport::of(driver) {
        for fault in [Fault::None, Fault::NoHalfClosePassed, Fault::ResetForFin { at: TOTAL }] {
            if fault.is_possible(transport) {
                let checked = check(driver, &Adversary::start(transport, &[fault]), &["--half-close", "off"]);
                assert_ok(&checked, "ok  200,000 bytes back in order*, not half-closed, * s, */s*");
            }
        }
    }
    // Bytes are everybody's.
    let row = Row::wrong(Fault::Flip { at: 7 }, "corrupted", 7, "bytes came that were never sent");
    expect(driver, &[row.with(&["--half-close", "off"])]);
}

/// The reset ends the stall before the minute has passed, on the further connection without a half-close, too.
fn a_path_that_fails_a_slow_reader_is_found(driver: &str) {
    let cut = Fault::SlowReaderCut(Duration::from_millis(300));
    let adversary = Adversary::start(Transport::Tcp, &[cut, cut]);
    let options = ["--stall", "1m", "--sizes", "64MB", "--socket-buffer", "64KiB"];
    let checked = check(driver, &adversary, &options);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(
        checked.stdout.starts_with("FAIL  connection reset: 0 of 64,000,000 bytes came back\n"),
        "{checked:?}"
    );
    let likely = "\n  likely: the path fails a client that reads slowly: another connection failed without a half-close, too\n";
    assert!(checked.stdout.contains(likely), "{checked:?}");
    assert!(checked.stdout.contains(" --stall 1m ") && checked.stdout.contains("--socket-buffer 65536"));
}

/// It gave up after the half-close; the slow reader had nothing to do with it.
fn a_slow_reader_is_not_blamed_for_what_the_half_close_does(driver: &str) {
    let adversary = Adversary::once(Fault::DropAfterHalfClose { at: 100_000 });
    let checked = check(driver, &adversary, &["--stall", "100ms"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let likely = "\n  likely: the half-close, not the slow reader: another connection with the same --stall was ok without one";
    assert!(checked.stdout.contains(likely), "{checked:?}");
}

fn a_good_server_passes_every_test(driver: &str) {
    let server = Server::start(&["--driver", driver]);
    let address = server.address.to_string();
    for (options, line) in [
        (
            &["--bytes", "2kB", "--write", "1", "--read", "1"][..],
            "ok  2,000 bytes back in order, clean end, * s, */s, round trip *",
        ),
        (
            &["--bytes", "1kB", "--pause", "100ms"],
            "ok  1,000 bytes back in order, clean end, * s, */s, round trip *",
        ),
        (
            &["--bytes", "20MB", "--stall", "100ms"],
            "ok  20,000,000 bytes back in order, clean end, * s, */s, round trip *",
        ),
        (
            &["--bytes", "100kB", "-c", "50"],
            "ok  50 connections, 100,000 bytes each back in order, clean end, * s, */s, round trip *",
        ),
    ] {
        let checked = run(roundtrip(["check", &address, "--driver", driver]).args(options));
        assert_ok(&checked, line);
    }
    assert_eq!(server.stop().code, Some(0));
}

fn of_many_connections_the_first_fault_is_told_and_the_others_are_counted(driver: &str) {
    let faults = [Fault::None, Fault::Flip { at: 4711 }, Fault::None, Fault::None];
    let checked = check(driver, &Adversary::start(Transport::Tcp, &faults), &["-c", "4"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let lines: Vec<_> = checked.stdout.lines().collect();
    assert_eq!(lines[0], "FAIL  corrupted: bytes came that were never sent");
    assert_eq!(lines[1], "  first wrong offset 4711; every byte before it is right");
    assert!(is_like(lines[2], "  came *, due *"), "{}", lines[2]);
    assert_eq!(lines[4], "  connection 2 of 4; 0 more failed, 3 ok");
    assert!(
        lines[5].ends_with(" --bytes 200000 --seed 24301 --connections 4") == (driver == "reactor"),
        "{}",
        lines[5]
    );
    let faults = [Fault::Trailing(b"!"), Fault::None, Fault::Trailing(b"!")];
    let adversary = Adversary::start(Transport::Tcp, &faults);
    let document = schema::document(schema::check(), &json(driver, &adversary, &["-c", "3"]));
    let check = &document["checks"][0];
    assert_eq!(
        (&check["connections_ok"], &check["connections_failed"]),
        (&1.into(), &2.into()),
        "{document:#}"
    );
    let fault = &check["fault"];
    let seed = 24300 + fault["connection"].as_u64().unwrap();
    assert_eq!(fault["seed"], seed, "each connection has the next seed: {document:#}");
}

/// Each has a payload of its own: what is right for one is wrong for another.
fn connections_that_are_mixed_up_are_found(driver: &str) {
    let (address, crossing) = adversary::crossing();
    let checked = run(&mut roundtrip(["check", &address, "--bytes", "1000", "-c", "2", "--driver", driver]));
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let is_either = |number: u8| {
        let other = 3 - number;
        let line = format!("FAIL  cross-talk: bytes of connection {other} came on connection {number}\n");
        checked.stdout.starts_with(&line)
    };
    assert!(is_either(1) || is_either(2), "{checked:?}");
    assert!(checked.stdout.contains("\n  first wrong offset 0;"), "{checked:?}");
    assert!(checked.stdout.contains(" of 2; 1 more failed, 0 ok\n"), "{checked:?}");
    drop(crossing.join().unwrap());
}

fn a_real_fault_is_told_before_a_time_out(driver: &str) {
    let faults = [Fault::Stall { at: 0 }, Fault::IdleTimeout(Duration::from_secs(3))];
    let adversary = Adversary::start(Transport::Tcp, &faults);
    let checked = check(driver, &adversary, &["-c", "2", "--timeout", "1s", "--pause", "1m"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stdout.contains("\n  connection 2 of 2; 1 more failed, 0 ok\n"), "{checked:?}");
    // And alone it is told.
    let adversary = Adversary::start(Transport::Tcp, &faults);
    let checked = check(driver, &adversary, &["--timeout", "1s"]);
    assert_eq!(checked.code, Some(3), "{checked:?}");
}

/// Each byte comes before the timeout is over. About ten of them come within it; from 256 on, their number alone would have
/// ended the check.
fn wrong_bytes_that_keep_coming_do_not_delay_the_verdict(driver: &str) {
    let fault = Fault::DripWrong { pause: Duration::from_millis(50) };
    for &transport in Transport::of(driver) {
        let adversary = Adversary::start(transport, &[fault]);
        let checked = check(driver, &adversary, &["--timeout", "500ms"]);
        assert_eq!((checked.code, &*checked.stderr), (Some(1), ""), "{checked:?}");
        let lines = "FAIL  corrupted: bytes came that were never sent\n  first wrong offset 0;";
        assert!(checked.stdout.starts_with(lines), "{checked:?}");
        let dripped = adversary.dripped();
        assert!(dripped < 200, "{transport:?}: {dripped} bytes before the verdict");
    }
}

fn rounds_end_with_the_first_that_fails(driver: &str) {
    // The first makes a further connection.
    let faults = [Fault::None, Fault::None, Fault::Flip { at: 9 }];
    let checked = check(driver, &Adversary::start(Transport::Tcp, &faults), &["--repeat", "3"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let lines: Vec<_> = checked.stdout.lines().collect();
    assert!(
        is_like(lines[0], "ok  200,000 bytes back in order, clean end, * s, *, round 1 of 3"),
        "{checked:?}"
    );
    assert_eq!(lines[1], "FAIL  corrupted: bytes came that were never sent");
    assert!(is_like(lines[3], "  came *, due *"), "{}", lines[3]);
    assert_eq!(lines[5], "  round 2 of 3");
    assert!(lines[6].contains(" --repeat 3"), "{checked:?}");
    assert_eq!(lines.len(), 7);
    let adversary = Adversary::start(Transport::Tcp, &faults);
    let document = schema::document(schema::check(), &json(driver, &adversary, &["--repeat", "3"]));
    let rounds: Vec<_> = document["checks"].as_array().unwrap().iter().collect();
    assert_eq!(rounds.iter().map(|check| &check["round"]).collect::<Vec<_>>(), [1, 2], "{document:#}");
    assert_eq!((&rounds[0]["result"], &rounds[1]["result"]), (&"ok".into(), &"failed".into()));
}

/// Of a gateway that has no connection left.
fn what_the_run_has_shown_is_part_of_the_cause(driver: &str) {
    let silent = Fault::Stall { at: 0 };
    let adversary = Adversary::start(Transport::Tcp, &[Fault::None, Fault::None, Fault::None, silent]);
    let checked = check(driver, &adversary, &["--repeat", "5", "--timeout", "1s"]);
    assert_eq!(checked.code, Some(3), "{checked:?}");
    let likely = "\n  likely: 2 rounds before were ok, and this connection got nothing: a limit, or a leak, of connections\n";
    assert!(checked.stdout.contains(likely), "{checked:?}");
    let forgets = Fault::Forget(Duration::from_millis(200));
    let adversary = Adversary::start(Transport::Tcp, &[Fault::None, Fault::None, forgets]);
    let checked = check(driver, &adversary, &["--repeat", "2", "--pause", "400ms", "--timeout", "1s"]);
    let likely = "\n  likely: the path forgot this connection in the pause, although 1 round before passed with the same pause: ";
    assert!(checked.stdout.contains(likely), "{checked:?}");
    let adversary = Adversary::start(Transport::Tcp, &[Fault::None, Fault::None, Fault::None, silent]);
    let checked = check(driver, &adversary, &["-c", "4", "--timeout", "1s"]);
    let likely = "\n  likely: 3 of 4 connections were ok, and this connection got nothing: a limit, or a leak, of connections\n";
    assert!(checked.stdout.contains(likely), "{checked:?}");
}

fn each_size_is_a_check_of_its_own(driver: &str) {
    // Each that is well makes a further connection.
    let faults = [[Fault::None; 4].as_slice(), &[Fault::Flip { at: 9 }]].concat();
    let adversary = Adversary::start(Transport::Tcp, &faults);
    let checked = check(driver, &adversary, &["--sizes", "1,20k,33,5"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let lines: Vec<_> = checked.stdout.lines().collect();
    assert!(
        lines[0].starts_with("ok  1 byte back in order, ") && lines[1].starts_with("ok  20,000 bytes back")
    );
    assert_eq!(lines[2], "FAIL  corrupted: bytes came that were never sent");
    assert!(lines.last().unwrap().contains(" --bytes 33 --seed 24301"), "{checked:?}");
    let document = json(driver, &Adversary::once(Fault::None), &["--sizes", "1,20k"]);
    let document = schema::document(schema::check(), &document);
    let sizes: Vec<_> = document["checks"].as_array().unwrap().iter().map(|check| &check["bytes"]).collect();
    assert_eq!(sizes, [1, 20_000]);
}

/// The client that has sent what it may, and waits.
fn stalled(driver: &str, options: &[&str]) -> (Adversary, Running) {
    let adversary = Adversary::start(Transport::Tcp, &[Fault::Stall { at: 10_000 }; 3]);
    let args = ["check", &adversary.endpoint, "--bytes", "10MB", "--driver", driver];
    let running = Running::start(roundtrip(args).args(options));
    adversary.await_bytes(65_536);
    (adversary, running)
}

fn an_interrupted_check_is_incomplete(driver: &str) {
    for signal in [Signal::INT, Signal::TERM] {
        let (_adversary, checking) = stalled(driver, &[]);
        checking.signal(signal);
        let checked = checking.wait();
        assert_eq!((checked.code, &*checked.stderr), (Some(3), ""), "{checked:?}");
        let line = "INCOMPLETE  stopped after * of 10,000,000 bytes came back\n";
        assert!(is_like(&checked.stdout, line), "{checked:?}");
    }
    let (_adversary, checking) = stalled(driver, &["--json"]);
    checking.signal(Signal::INT);
    let document = schema::document(schema::check(), &checking.wait());
    assert_eq!((&document["result"], &document["exit"]), (&"incomplete".into(), &3.into()), "{document:#}");
}

fn an_interrupted_check_of_many_connections_is_incomplete(driver: &str) {
    let (_adversary, checking) = stalled(driver, &["-c", "3", "--repeat", "2"]);
    checking.signal(Signal::TERM);
    let checked = checking.wait();
    assert_eq!((checked.code, &*checked.stderr), (Some(3), ""), "{checked:?}");
    let line = "INCOMPLETE  stopped after * of 30,000,000 bytes came back, round 1 of 2\n";
    assert!(is_like(&checked.stdout, line), "{checked:?}");
}

/// Too few bytes to tell where they belong.
fn a_single_byte_is_checked(driver: &str) {
    let good = check(driver, &Adversary::once(Fault::None), &["--sizes", "1"]);
    assert_ok(&good, "ok  1 byte back in order, clean end, * s, */s, round trip *");
    let bad = check(driver, &Adversary::once(Fault::Flip { at: 0 }), &["--sizes", "1"]);
    assert_eq!(bad.code, Some(1));
    assert!(bad.stdout.contains("corrupted") && bad.stdout.contains("first wrong offset 0;"), "{bad:?}");
}

fn nobody_there_is_neither_a_success_nor_a_fault(driver: &str) {
    let schema = schema::check();
    for target in [nobody().to_string(), "no-such-host.invalid:7".to_owned()] {
        let args = ["check", &target, "--driver", driver];
        let checked = run(&mut roundtrip(args));
        assert_eq!((checked.code, &*checked.stdout), (Some(4), ""), "{target}: {}", checked.stderr);
        let document = schema::document(schema, &run(roundtrip(args).arg("--json")));
        let told = format!(
            "error: {}\n  try: {}\n",
            document["error"]["cause"].as_str().unwrap(),
            document["error"]["advice"].as_str().unwrap()
        );
        assert_eq!((&document["result"], told), (&Value::from("error"), checked.stderr));
    }
}

fn without_an_endpoint_the_loopback_is_checked(driver: &str) {
    let checked = run(&mut roundtrip(["check", "--bytes", "100kB", "--driver", driver]));
    assert_ok(&checked, "ok  100,000 bytes back in order, clean end, * s, */s, round trip *");
    let document =
        run(&mut roundtrip(["check", "--bytes", "100kB", "--driver", driver, "--json", "-c", "3"]));
    let document = schema::document(schema::check(), &document);
    assert_eq!((&document["endpoint"], &document["driver"]), (&Value::Null, &driver.into()));
}
