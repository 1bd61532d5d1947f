use super::*;
use crate::load::plan::{Length, Plan};
use crate::load::record::Record;
use crate::load::report::Report;
use crate::verdict::{Checked, Ended, Judged, Sent};
use roundtrip_core::Time;
use roundtrip_echo::{ClientOutcome, Fault, FaultKind, RoundTrip, Verdict};

fn picture_of(report: &Report<'_>) -> String {
    picture(&report.headline(), &report.lines(), &report.checked.again, &report.record, report.took)
}

const SECOND: Duration = Duration::from_secs(1);

/// A report of messages that came back at these times and took so long.
fn report(width: Duration, trips: &[(Duration, Duration)], verdict: Verdict, again: &str) -> Report<'static> {
    let mut record = Record::new(Time::ZERO, width).unwrap();
    for (back, took) in trips {
        let due = Time::from_nanos(u64::try_from(back.saturating_sub(*took).as_nanos()).unwrap());
        record.add(RoundTrip { due, sent: due, back: due.after(*took) });
    }
    let took = trips.iter().map(|(back, _)| *back).max().unwrap_or_default();
    let checked = Checked { took, timeout: 30 * SECOND, ..Checked::new(Sent::Seeded(1), again.to_owned()) };
    let sent = trips.len() as u64 * 64;
    let mut outcome = ClientOutcome::new(verdict);
    (outcome.sent, outcome.received, outcome.idle) = (sent, sent, SECOND);
    Report {
        plan: Plan {
            connections: 1,
            rate: Some(1000),
            length: Length::Count(sent / 64),
            ramp: Duration::ZERO,
        },
        size: 64,
        in_flight: 1,
        judged: Judged::of(&checked, &[Ended { connection: 0, outcome, tcp: None }]),
        sent_bytes: sent,
        received_bytes: sent,
        unconnected: 0,
        unconnected_why: None,
        took,
        overdue: false,
        impaired: false,
        scheduled: Some(sent / 64),
        sent: sent / 64,
        checked,
        record,
    }
}

/// Reports that a load seldom makes.
fn odd() -> Vec<(&'static str, Report<'static>)> {
    let ok = |name, width, trips: &[_]| (name, report(width, trips, Verdict::Verified, "roundtrip load"));
    let ms = Duration::from_millis;
    let many = |number: u64, took: fn(u64) -> Duration| {
        (0..number).map(|index| (ms(10 * index + 5), took(index))).collect::<Vec<_>>()
    };
    let wide = |index| Duration::from_nanos(1000_u64 << (index % 32));
    let faulty = Verdict::Faulty(Fault { at: 640, kind: FaultKind::Corrupted });
    vec![
        ok("none", ms(50), &[]),
        ok("at-once", ms(50), &[(Duration::ZERO, Duration::ZERO)]),
        ok("one", ms(50), &[(Duration::from_micros(88), Duration::from_micros(88))]),
        ok("alike", ms(50), &many(1000, |_| Duration::from_micros(100))),
        ok("two", SECOND, &[(SECOND, Duration::from_micros(1)), (3600 * SECOND, 3600 * SECOND)]),
        ok("wide", ms(10), &many(600, wide)),
        ok("gap", ms(10), &[many(50, wide), vec![(3 * SECOND, 2 * SECOND)]].concat()),
        ok("days", SECOND, &[(ms(1), ms(1)), (864_000 * SECOND, ms(1))]),
        (
            "failed",
            report(ms(10), &many(10, wide), faulty, "roundtrip load 'unix:/<a> & \"b\"\u{1b}[1m\u{ffff}'"),
        ),
    ]
}

/// Where a path goes; 0 for what a step leaves as it is.
fn coordinates(path: &str) -> Vec<(f64, f64)> {
    let step = |step: &str| {
        let numbers: Vec<f64> = step[1..].split(' ').flat_map(str::parse).collect();
        match (&step[..1], &*numbers) {
            ("M" | "L", &[x, y]) => (x, y),
            ("H", &[x]) => (x, 0.0),
            ("V", &[y]) => (0.0, y),
            ("Z", []) => (0.0, 0.0),
            _ => panic!("{step}"),
        }
    };
    let mut starts: Vec<_> = path.match_indices(char::is_alphabetic).map(|(at, _)| at).collect();
    starts.push(path.len());
    starts.windows(2).map(|ends| step(&path[ends[0]..ends[1]])).collect()
}

/// What is told in texts of a class.
fn texts(document: &roxmltree::Document<'_>, class: &str) -> Vec<String> {
    let texts = document.descendants().filter(|element| element.attribute("class") == Some(class));
    texts.map(|element| element.text().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_picture_is_well_formed_and_nothing_lies_outside() {
    for (name, report) in odd() {
        let text = picture_of(&report);
        let document = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let root = document.root_element();
        assert_eq!((root.attribute("role"), root.attribute("viewBox")), (Some("img"), Some("0 0 960 700")));
        for element in document.descendants() {
            let mut numbers = coordinates(element.attribute("d").unwrap_or_default());
            let attribute = |name| element.attribute(name).map(|text| text.parse::<f64>().unwrap());
            numbers.extend(["x", "cx"].into_iter().filter_map(attribute).map(|x| (x, 0.0)));
            numbers.extend(["y", "cy"].into_iter().filter_map(attribute).map(|y| (0.0, y)));
            for (x, y) in numbers {
                assert!(
                    (0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y),
                    "{name}: {x} {y} in {element:?}"
                );
            }
        }
    }
}

#[test]
fn what_was_told_is_in_the_picture_and_nothing_of_it_is_markup() {
    for (name, report) in odd() {
        let text = picture_of(&report);
        let document = roxmltree::Document::parse(&text).unwrap();
        let of =
            |tag| document.descendants().find(|element| element.has_tag_name(tag)).unwrap().text().unwrap();
        let lines = report.lines();
        assert_eq!(of(("http://www.w3.org/2000/svg", "title")), lines.lines().next().unwrap(), "{name}");
        assert!(of(("http://www.w3.org/2000/svg", "desc")).starts_with(&lines[..20]), "{name}");
        let figures = texts(&document, "figures");
        let last: Vec<_> = lines.lines().map(str::trim).skip(lines.lines().count() - figures.len()).collect();
        assert!(figures == last && figures[0].starts_with("open loop"), "{name}: {figures:?}");
        let bad = texts(&document, "head bad").len();
        assert_eq!(bad, usize::from(name == "failed" || name == "none"), "{name}");
        let nothing = text.matches("no message came back").count();
        assert_eq!(nothing, if name == "none" { 2 } else { 0 }, "{name}");
        if name == "failed" {
            let again = "roundtrip load 'unix:/<a> & \"b\"\u{fffd}[1m\u{fffd}'";
            assert_eq!(texts(&document, "foot"), [again]);
        }
    }
}

#[test]
fn a_rate_is_that_of_the_whole_course() {
    let ms = Duration::from_millis;
    let trips: Vec<_> = (0..1001).map(|number| (ms(number), ms(1))).collect();
    let report = report(ms(50), &trips, Verdict::Verified, "");
    let steps = Step::all(&report.record.course, report.took);
    // What came back at the last moment is no interval of its own.
    assert_eq!((steps.len(), steps[19].messages), (20, 51));
    let ends: Vec<_> = steps.iter().flat_map(|step| [step.from / 5e7, step.to / 5e7]).collect();
    assert!((0..40).zip(ends).all(|(number, end)| (end - f64::from((number + 1) / 2)).abs() < 1e-6));
    assert!(steps.iter().all(|step| (990.0..=1030.0).contains(&step.rate())));
}

/// A server that stands still for a second, and then answers all that waited at once.
#[test]
fn a_standstill_is_shown_as_one_and_leaves_room_for_the_rest() {
    let ms = Duration::from_millis;
    let usual = (0..3000).filter(|at| !(1000..2000).contains(at)).map(|at| (ms(at), ms(1)));
    let waited = (1000..2000).map(|due| (ms(2000), ms(2000 - due)));
    let report = report(ms(15), &usual.chain(waited).collect::<Vec<_>>(), Verdict::Verified, "");
    let steps = Step::all(&report.record.course, report.took);
    let most = Step::most(&steps);
    assert!((900.0..=1100.0).contains(&most), "{most}");
    assert_eq!(Step::standstills(&steps).len(), 1);
    let text = picture_of(&report);
    let document = roxmltree::Document::parse(&text).unwrap();
    assert_eq!(texts(&document, "value middle"), ["nothing came back for 990 ms"]);
    let burst = texts(&document, "value burst end");
    assert!(burst.len() == 1 && burst[0].starts_with("↑ 67"), "{burst:?}");
    let still = document.descendants().find(|element| element.attribute("class") == Some("still")).unwrap();
    let [(from, bottom), (to, _), (_, top), ..] = coordinates(still.attribute("d").unwrap())[..] else {
        panic!("{still:?}")
    };
    assert!((bottom, top) == COURSE && (240.0..280.0).contains(&(to - from)), "{from} {to}");
}

/// At one message a second most intervals are empty, and nothing stands still.
#[test]
fn a_low_rate_is_no_standstill() {
    let trips: Vec<_> = (0..20).map(|at| (at * SECOND, Duration::from_millis(1))).collect();
    let text = picture_of(&report(Duration::from_millis(50), &trips, Verdict::Verified, ""));
    assert!(!text.contains("class=\"still\"") && !text.contains("↑"));
}
