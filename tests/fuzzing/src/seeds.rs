//! What a corpus begins with: scripts, seeds and texts that there are already, as entries.

use roundtrip_conformance::{Script, Step, script_texts, scripts};
use roundtrip_core::Failure;
use roundtrip_core::admission::{AcceptError, Limits};
use roundtrip_scenarios::{Datagrams, Echo, Load, Server};
use roundtrip_sim::campaign::{self, Campaign, Progress};
use roundtrip_sim::choose::{Faults, Replay, Seeded};
use roundtrip_sim::{OverDatagrams, Runner, Simulation, Trace};

use crate::model::door::{self, Day, MS};
use crate::model::op::{ClientSetup, Op, Served, ServerSetup};
use crate::model::peer::{PeerOp, Visited};
use crate::model::pinging::{PingSetup, Pinged};
use crate::model::slicing::{Damage, Slicing};
use crate::model::wire::{Damaged, Wire};
use crate::{datagrams, records, schedule, sessions};

/// Runs of each scenario that become an entry.
const RUNS: u64 = 200;
/// Runs of each scenario that become a trace.
const TRACES: u64 = 4;
/// Scripts of which the record becomes an entry.
const RECORDS: usize = 4;

/// The entries that the corpus of a target begins with; none if there is no such target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "server_ops" => servers(),
        "client_ops" => clients(),
        "pinger_ops" => pingers(),
        "session_ops" => sessions::seeds(),
        "admission_ops" => days(),
        "config_ops" => configs(),
        "datagram_ops" => datagrams::seeds(),
        "schedule" => {
            let datagrams = runs(&OverDatagrams(Datagrams), 3);
            [runs(&Echo, 0), runs(&Server, 1), runs(&Load, 2), datagrams].concat()
        }
        "trace_parse" => {
            let datagrams = traces(&OverDatagrams(Datagrams));
            [traces(&Echo), traces(&Server), traces(&Load), datagrams, texts(&NAMES)].concat()
        }
        "report_parse" => vec![report((0, 1)), report((1, 3))],
        "endpoint_parse" => texts(&ENDPOINTS),
        "script_parse" => script_texts().map(|text| text.as_bytes().to_vec()).collect(),
        "record_parse" => record_seeds(),
        "units_parse" => texts(&UNITS),
        "resp_ops" => streams(&RESP),
        "http_ops" => streams(&HTTP),
        _ => Vec::new(),
    }
}

/// Each field at and beyond its bounds, the others as they are or large enough for the rest to be read.
fn configs() -> Vec<Vec<u8>> {
    let fields = 130..139_u8;
    let alone = fields.clone().flat_map(|tag| [vec![1, tag, 0], vec![1, tag, 7]]);
    // 100 for the first, which datagrams need, and the largest number.
    let beside = fields.map(|tag| [&[1, 130, 100, tag][..], &[0xff; 9], &[1]].concat());
    alone.chain(beside).chain([[&[1, 130][..], &[0xff; 4], &[7]].concat()]).collect()
}

/// What the server's side of a script's first client sees.
fn script(script: &Script) -> Option<Served> {
    let mut ops = vec![Op::Settle];
    for step in script.clients().first()?.steps() {
        let step: &[Op] = match step {
            Step::Send(bytes) => &[Op::Data(usize::try_from(*bytes).unwrap_or(255).min(255))],
            Step::Expect(_) | Step::Flush => &[Op::Wrote(7), Op::Settle, Op::WroteAll],
            Step::HalfClose => &[Op::Eof],
            Step::Reset => &[Op::Failed(Failure::Reset)],
            Step::StopServer => &[Op::Stop],
            Step::ForceServer => &[Op::Abort],
            Step::Pause(_) => &[Op::Advance(3)],
            Step::ExpectEnd | Step::ExpectReset { .. } => &[Op::AdvanceToDeadline],
            Step::ExpectRefused | Step::Meet | Step::Close => &[],
        };
        ops.extend(step.iter().flat_map(|op| [*op, Op::Settle]));
    }
    Some(Served { setup: ServerSetup::start(), ops })
}

fn servers() -> Vec<Vec<u8>> {
    let served = scripts().unwrap_or_default().iter().filter_map(script).collect::<Vec<_>>();
    let small = ServerSetup { buffer: 4, chunk: 3, max_chunks: 1, ..ServerSetup::start() };
    let limits = ServerSetup { idle: Some(5), half_close_idle: Some(3), max_age: Some(20), ..small };
    let slicing = Slicing { reads: vec![1, 3], writes: vec![2], reads_first: false }.encode();
    let sliced = |served: &Served| [served.encode(), slicing[1..].to_vec()].concat();
    let with = |setup| served.iter().map(move |served| Served { setup, ..served.clone() });
    let all = served.iter().cloned().chain(with(small)).chain(with(limits));
    all.flat_map(|served| [served.encode(), sliced(&served)]).collect()
}

/// What a client and its peer do: an honest echo, and one that does not keep to it.
fn visits() -> Vec<Vec<PeerOp>> {
    let settle = PeerOp::Driver(Op::Settle);
    let took = PeerOp::Driver(Op::WroteAll);
    let honest = [settle, took, settle, PeerOp::Echo(9), settle, PeerOp::Echo(255), settle].repeat(4);
    let ends = [Op::Eof, Op::Stop, Op::Abort, Op::Failed(Failure::Reset), Op::AdvanceToDeadline];
    let tampers = [PeerOp::Garbage(3), PeerOp::Again(5), PeerOp::Skip(5), PeerOp::Driver(Op::Wrote(3))];
    let ended = ends.into_iter().map(|end| [&honest[..], &[PeerOp::Driver(end), settle]].concat());
    let tampered = tampers.into_iter().flat_map(|tamper| {
        ends.map(|end| {
            [&[settle, took, tamper, settle], &honest[..], &[PeerOp::Driver(end), settle]].concat()
        })
    });
    ended.chain(tampered).collect()
}

fn clients() -> Vec<Vec<u8>> {
    let whole = ClientSetup { len: 100, ..ClientSetup::start() };
    let tight = ClientSetup { window: 7, chunk: 5, write: 3, timeout: Some(9), ..whole };
    let slow = ClientSetup { pause: Some(6), stall: Some(4), half_close: false, given: true, ..tight };
    let slicing = Slicing { reads: vec![1, 5], writes: vec![3], reads_first: false }.encode();
    let damages = [
        Damage::Drop(40, 9),
        Damage::Repeat(40, 9),
        Damage::Swap(30, 9, 4),
        Damage::Flip(50),
        Damage::Append(5),
        Damage::Cut(60),
    ];
    let mut entries = Vec::new();
    let waiting = ClientSetup { tail_wait: Some(5), ..whole };
    for setup in [whole, tight, slow, waiting] {
        entries.extend(visits().into_iter().map(|ops| Visited { setup, ops }.encode()));
        for damage in damages {
            let damaged = Damaged::of(damage, false).encode();
            entries.push([&setup.encode(), &slicing[1..], &damaged[1..]].concat());
        }
    }
    entries
}

fn pingers() -> Vec<Vec<u8>> {
    let Pinged { setup, .. } = Pinged::start();
    let closed = PingSetup { size: 8, in_flight: 3, messages: 9, ..setup };
    let open = PingSetup { period: Some(5), first: 2, until: Some(30), timeout: Some(50), ..closed };
    let tight = PingSetup { in_flight: 1, half_close: false, ..open };
    // More is due than can be sent: it is sent late.
    let late = PingSetup { period: Some(3), in_flight: 1, messages: 20, ..closed };
    let mut entries = Vec::new();
    for (setup, time) in [
        (closed, Op::AdvanceToDeadline),
        (open, Op::AdvanceToDeadline),
        (tight, Op::AdvanceToDeadline),
        (late, Op::Advance(7)),
    ] {
        for ops in visits() {
            let ops = ops.iter().flat_map(|op| [*op, PeerOp::Driver(time)]).collect();
            entries.push(Pinged { setup, ops }.encode());
        }
    }
    entries
}

fn days() -> Vec<Vec<u8>> {
    let limits = Limits::default().connections(2).per_source(Some(1)).total(Some(5)).drain(MS * 20);
    let busy = [1, 1, 2, 3].map(door::Op::Arrive);
    let mut ops = busy.to_vec();
    ops.extend([door::Op::Accept; 4]);
    ops.extend([
        door::Op::AcceptFailed(AcceptError::Exhausted),
        door::Op::End(0),
        door::Op::AcceptFailed(AcceptError::Connection),
        door::Op::AdvanceToDeadline,
        door::Op::EndOfNobody,
        door::Op::Accept,
    ]);
    let ends = [
        vec![],
        vec![door::Op::Stop, door::Op::Accept, door::Op::Accept, door::Op::AdvanceToDeadline],
        vec![door::Op::Stop, door::Op::AdvanceMs(7), door::Op::Force],
    ];
    let mut entries = Vec::new();
    for limits in [limits, Limits::default()] {
        for end in &ends {
            entries.push(Day { limits: limits.clone(), ops: [&ops[..], end].concat() }.encode());
        }
    }
    entries
}

/// Seeds under swarms of faults, as the entries that run the same.
fn runs<S: Simulation>(scenario: &S, number: u8) -> Vec<Vec<u8>> {
    let run = |seed| {
        let seeded = Seeded::new(seed, Faults::SWARM);
        let families: Vec<_> = seeded.mask().collect();
        schedule::entry(scenario, number, families, seeded).0
    };
    (0..RUNS).map(run).collect()
}

/// A trace as an entry of `schedule`; none if the target does not have its scenario.
pub fn entry_of(trace: &Trace) -> Option<Vec<u8>> {
    let families = || trace.decisions.iter().map(|decision| decision.site.family());
    let replay = || Replay::new(&trace.decisions);
    match &*trace.scenario {
        "echo" => Some(schedule::entry(&Echo, 0, families(), replay()).0),
        "server" => Some(schedule::entry(&Server, 1, families(), replay()).0),
        "load" => Some(schedule::entry(&Load, 2, families(), replay()).0),
        "datagrams" => Some(schedule::entry(&OverDatagrams(Datagrams), 3, families(), replay()).0),
        _ => None,
    }
}

fn traces<S: Simulation>(scenario: &S) -> Vec<Vec<u8>> {
    let trace = |seed| {
        let recording = Runner::new(scenario).record(Seeded::new(seed, Faults::SWARM));
        let mut trace = Trace::new(scenario.title(), Some(seed), recording);
        // What happened is only compared: some of it is enough.
        trace.lines.truncate(8);
        trace.decisions.truncate(24);
        trace.to_string().into_bytes()
    };
    (0..TRACES).map(trace).collect()
}

fn report(shard: (u64, u64)) -> Vec<u8> {
    let campaign = Campaign::new(0..9).shard(shard);
    campaign::run(&Echo, &campaign, &Progress::default()).to_string().into_bytes()
}

/// Records, their lines one by one, and histories to record.
fn record_seeds() -> Vec<Vec<u8>> {
    let served = scripts().unwrap_or_default().iter().filter_map(script).collect::<Vec<_>>();
    let records = served.iter().take(RECORDS).map(records::recorded);
    let histories = served.iter().map(Wire::encode);
    let lines = records::LINES.lines().chain([records::LINES]).map(|line| line.as_bytes().to_vec());
    records.chain(histories).chain(lines).collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What comes from a peer under every bound, whole and in small pieces.
fn streams(texts: &[&str]) -> Vec<Vec<u8>> {
    let setups = [0xe0, 0x61, 0x26, 0x4b, 0x8c, 0xf6];
    let entry = |(at, text): (usize, &&str)| {
        let [setup, cut] = [setups[at % setups.len()], u8::try_from(at * 37 % 256).unwrap_or(0)];
        [&[setup, cut], text.as_bytes()].concat()
    };
    texts.iter().enumerate().map(entry).collect()
}

const RESP: [&str; 26] = [
    "PING\r\nPING a\nECHO \"b \\n c\" \r\n",
    "*1\r\n$4\r\nPING\r\n",
    "*2\r\n$4\r\nECHO\r\n$5\r\na\r\nbc\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    "SET a 1\r\nINCR a\r\nGET a\r\nGET b\r\nINCR b\r\n",
    "MSET a 1 b 2\r\nMGET a c b\r\nEXISTS a b c\r\nDEL a c\r\n",
    "SET a 9223372036854775807\nINCR a\nSET a x\nINCR a\n",
    "SET a aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nMGET a a a a a a a a\nGET a\n",
    "NOPE 'x y' \x01\r\nGET\nSET a 1 2\nMSET a\nCOMMAND DOCS\nCONFIG GET save\n",
    "QUIT\r\nPING\r\n",
    "*0\r\n*-1\r\n\r\n  \nPING\n",
    "*x\r\n",
    "*1\r\n+PING\r\n",
    "*1\r\n$-1\r\n",
    "*2\r\n$3\r\nGET\r\n$524289\r\n",
    "*1048577\r\n",
    "ECHO \"a\r\n",
    "*2\r\n$3\r\nGET\r\n$5\r\nab",
    "+OK\r\n-ERR no\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n*0\r\n*-1\r\n",
    "*3\r\n:1\r\n*1\r\n$1\r\nx\r\n$-1\r\n+PONG\r\n",
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
    ":1x\r\n",
    "$1\r\nabc",
    "+OK\rx+OK\r\n",
    "?\r\n",
    "*2\r\n$4\r\nNOPE\r\n$4\r\na\r\nb\r\n",
    "$20\r\naaaaaaaaaaaaaaaaaaaa\r\n",
];

const NAMES: [&str; 7] =
    ["short-write", "workload.3", "world", "clients", "server", "client.3.1", "reset-overtakes"];

const ENDPOINTS: [&str; 23] = [
    "udp:localhost:7,if=127.0.0.1,broadcast,max=424",
    "udp:",
    "unix-dgram:/run/a.sock,mode=0660",
    "unix:@name,type=seqpacket",
    "pipe:name,type=message",
    "mailslot:name,max=424",
    "localhost:7",
    "tcp:localhost",
    "tcp://a-b_c.example:80",
    "127.0.0.1:0",
    "[::1]:65535",
    "::1",
    "tcp:[fe80::1%eth0]:80",
    "[::]:7,v6only=no",
    "unix:/run/a b.sock,mode=0660",
    "unix:///run/a.sock",
    "unix:a%2Cb%25c",
    "unix:%40a",
    "unix:%2F/a",
    "unix:@name",
    "stdio:",
    "systemd://",
    "tcp:::1:zz",
];

const UNITS: [&str; 12] =
    ["512", "64KiB", "10MB", "20k", "1.5MB", "1G", "250ms", "10s", "1m 30s", "5m", "1GiB", "1e400"];

const HTTP: [&str; 16] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /?a HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET",
    "GET /bytes/300 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /bytes/9 HTTP/1.1\r\nHost: a\r\n\r\nGET /bytes/99999 HTTP/1.1\r\nHost:\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloPOST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A;b\r\n0123456789\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET http://a:80/none HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcBREW / HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n10000000000000000\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/2.0\nA: b\rc\r\n d\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\nExpect: b\r\n\r\n",
];
