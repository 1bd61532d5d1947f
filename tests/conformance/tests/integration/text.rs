//! Scripts as text: read, written back, and refused with a line and a reason.

use std::collections::BTreeSet;

use quickcheck::{Arbitrary, Gen, quickcheck};
use roundtrip_conformance::{Cause, Script, ScriptError, script_texts};

/// A text that is a script more often than not.
#[derive(Clone, Debug)]
struct Text(Vec<String>);

const COUNTS: [&str; 6] = ["1", "7", "64", "1000", "65536", "1099511627776"];
const TIMES: [&str; 7] = ["1ns", "1500us", "50ms", "2000ms", "90s", "60m", "12h"];
const HEAD: [&str; 8] = [
    "echo buffer 1000",
    "echo idle 50ms",
    "echo quiet 1500us",
    "echo max-chunks 2",
    "door connections 1",
    "door total 64",
    "door drain 90s",
    "together",
];
const STEPS: [&str; 12] = [
    "flush",
    "meet",
    "stop-server",
    "force-server",
    "half-close",
    "expect-end",
    "expect-reset",
    "expect-reset unread",
    "expect-refused",
    "close",
    "reset",
    "# nothing",
];
const SERVERS: [&str; 6] = [
    "server clean received 7 echoed 7",
    "server stopped|aborted received * echoed *",
    "server idle received 64 echoed *",
    "server half-close-idle|reset|io received * echoed 0",
    "server turned-away",
    "server never",
];

fn one_of<'a>(g: &mut Gen, of: &[&'a str]) -> &'a str {
    g.choose(of).copied().unwrap_or_default()
}

impl Arbitrary for Text {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut lines = vec![format!("script {}", one_of(g, &["a", "b-2", "Plain"]))];
        for _ in 0..u8::arbitrary(g) % 3 {
            lines.push(one_of(g, &HEAD).to_owned());
        }
        for _ in 0..=u8::arbitrary(g) % 3 {
            lines.push("client".to_owned());
            for _ in 0..u8::arbitrary(g) % 5 {
                let step = match u8::arbitrary(g) % 6 {
                    0 | 1 => format!("  send {}", one_of(g, &COUNTS)),
                    2 => format!("  expect {}", one_of(g, &COUNTS[..3])),
                    3 => format!("  pause {} # for a while", one_of(g, &TIMES)),
                    _ => format!("  {}", one_of(g, &STEPS)),
                };
                lines.push(step);
            }
            lines.push(one_of(g, &SERVERS).to_owned());
        }
        Self(lines)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        Box::new(self.0.shrink().map(Self))
    }
}

quickcheck! {
    fn what_is_read_is_written_back(text: Text) -> bool {
        match text.0.join("\n").parse::<Script>() {
            Ok(script) => {
                let written = script.to_string();
                written.parse() == Ok(script) && written.parse::<Script>().unwrap().to_string() == written
            }
            Err(error) => error.line >= 1 && error.line <= text.0.len(),
        }
    }

    fn no_text_is_too_strange_to_refuse(text: String) -> bool {
        text.parse::<Script>().is_err()
    }

    fn no_line_is_too_strange_to_refuse(text: Text, line: String, at: usize) -> bool {
        let mut lines = text.0;
        lines.insert(at % (lines.len() + 1), line);
        lines.join("\n").parse::<Script>().map_or_else(|error| error.line >= 1, |_| true)
    }
}

#[test]
fn texts_that_are_made_up_are_often_scripts() {
    let mut g = Gen::new(10);
    let scripts =
        (0..1000).filter(|_| Text::arbitrary(&mut g).0.join("\n").parse::<Script>().is_ok()).count();
    assert!(scripts > 100, "{scripts} of 1000");
}

#[test]
fn each_script_says_what_it_is_for_and_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for text in script_texts() {
        let script: Script = text.parse().unwrap();
        assert!(text.starts_with("# "), "{} says what it is for", script.name());
        assert!(names.insert(script.name().to_owned()), "{} is there twice", script.name());
        assert_eq!(script.to_string().parse(), Ok(script));
    }
    assert!(names.len() > 30);
}

#[test]
fn errors_name_line_and_cause() {
    let words = "this line is written";
    for (text, expected) in [
        ("", "line 1: a script begins with `script NAME`; a name has letters, digits and `-`"),
        ("script a b", "line 1: a script begins with `script NAME`; a name has letters, digits and `-`"),
        ("script ä", "line 1: a script begins with `script NAME`; a name has letters, digits and `-`"),
        ("script a", "line 1: a script has at least one client"),
        ("script a\n\nclient\n", "line 3: the last client has no `server` line"),
        ("script a\nsend 5", "line 2: a step stands between `client` and `server`"),
        ("script a\necho speed 5", "line 2: there is no setting `echo speed`"),
        ("script a\necho idle", "line 2: this line is written `echo SETTING VALUE, or door SETTING VALUE`"),
        ("script a\necho idle 0s", "line 2: `0s` is no duration such as `50ms`, at least `1ns`"),
        ("script a\necho idle 5", "line 2: `5` is no duration such as `50ms`, at least `1ns`"),
        (
            "script a\necho idle 99999999999h",
            "line 2: `99999999999h` is no duration such as `50ms`, at least `1ns`",
        ),
        ("script a\necho idle 1s\necho idle 2s", "line 3: this is set already"),
        ("script a\necho buffer 0", "line 2: the server's configuration: buffer must not be zero"),
        ("script a\nclient\ndance", "line 3: there is no step `dance`"),
        ("script a\nclient\nsend -1", "line 3: `-1` is no count from 0 to 2^40"),
        ("script a\nclient\nsend 1099511627777", "line 3: `1099511627777` is no count from 0 to 2^40"),
        ("script a\nclient\nsend 0", "line 3: a step with no bytes does nothing"),
        ("script a\nclient\nsend", "line 3: this line is written `send COUNT`"),
        ("script a\nclient\nsend 1\nexpect 2", "line 4: more is expected back than was sent"),
        ("script a\nclient\nhalf-close\nsend 1", "line 4: the client has half-closed before this step"),
        ("script a\nclient\nexpect-end\nexpect-reset", "line 4: the server's end came before this step"),
        ("script a\nclient\nreset\nsend 1", "line 4: the connection is over before this step"),
        ("script a\nclient\nflush\nexpect-refused", "line 4: a client that is refused does nothing else"),
        ("script a\nclient\nserver happy received 1 echoed 1", "line 3: no session ends `happy`"),
        (
            "script a\nclient\nexpect-refused\nserver clean received 0 echoed 0",
            "line 4: a client that is refused is `server never`",
        ),
        (
            "script a\nclient\nsend 1\nexpect 1\nserver never",
            "line 5: a client that is not let in sees nothing back",
        ),
        ("script a\nclient\nserver never\ntogether", "line 4: what is set up stands before the first client"),
        (
            "script a\ntogether\nclient\nexpect-refused\nserver never",
            "line 5: clients that connect together are not refused",
        ),
    ] {
        assert_eq!(text.parse::<Script>().unwrap_err().to_string(), expected, "{text:?}");
    }
    let error = "script a\nclient\nserver".parse::<Script>().unwrap_err();
    assert!(matches!(error, ScriptError { line: 3, cause: Cause::Words(_) }));
    assert!(error.to_string().contains(words));
}

#[test]
fn durations_are_written_in_the_longest_unit_that_fits() {
    let text =
        "script a\necho idle 2000ms\necho quiet 1500us\necho drain 120m\nclient\npause 90s\nserver never\n";
    let script: Script = text.parse().unwrap();
    let expected =
        "script a\necho idle 2s\necho quiet 1500us\necho drain 2h\n\nclient\n  pause 90s\n  server never\n";
    assert_eq!(script.to_string(), expected);
}
