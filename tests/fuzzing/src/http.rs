//! The example that speaks HTTP: its server, by what is public of it.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use roundtrip_core::protocol::{Session, SessionEnd};
use roundtrip_http::{Body, Http, Method, Part, Request, config};

use crate::driving::{Bounds, Cut, Driving, End, MOST, NOW, bounded, drive};

/// Bytes of responses that are looked at: `/bytes/N` has no bound.
const MOST_WRITTEN: usize = 4096;

/// The first byte says how a session is bounded, the second how the streams are cut; the rest are requests. However they are
/// cut, the responses say the same, and each request that is whole has one. Ended in the middle, it closes all the same.
pub fn http_ops(bytes: &[u8]) {
    let [setup, cut, stream @ ..] = bytes else { return };
    let stream = Bytes::copy_from_slice(&stream[..stream.len().min(MOST)]);
    let requests = Requests::of(&stream);

    let [whole, cut] = [Cut::WHOLE, Cut::of(*cut)].map(|cut| (server(*setup, &stream, cut, None), cut));
    let [said, said_cut] =
        [&whole.0, &cut.0].map(|driving| Responses::of(&driving.written, &requests.methods));
    assert_eq!(whole.0.end, cut.0.end, "a server's end depends on the cuts");
    // What was queued before a reset, or beyond the bound, is not all written.
    let is_cut_off = matches!(whole.0.end, SessionEnd::Reset | SessionEnd::Aborted);
    let len = if is_cut_off { said.text.len().min(said_cut.text.len()) } else { usize::MAX };
    let [text, text_cut] = [&said, &said_cut].map(|said| &said.text[..len.min(said.text.len())]);
    assert_eq!(text, text_cut, "a server's responses depend on the cuts");
    if !is_cut_off {
        assert!(said.is_whole, "half a response: {}", whole.0.written.escape_ascii());
        let expected = if said.closes { 1..=requests.whole + 1 } else { requests.whole..=requests.whole };
        assert!(expected.contains(&said.count), "{} responses to {requests:?}", said.count);
    }
    // Ended in the middle, however that is.
    let _ = server(*setup, &stream, cut.1, Some(End::of(*setup, bytes[1])));
}

fn server(setup: u8, stream: &Bytes, cut: Cut, end: Option<End>) -> Driving<Infallible> {
    let config = bounded(&config(), setup);
    // An interim response, a head and a frame may exceed the room.
    let bounds = Bounds::held(config.inbox + config.outbox + 256).written(MOST_WRITTEN);
    let session = Session::new(Http::new(), Arc::new(config), NOW);
    drive(session, Vec::new(), stream.clone(), cut, end, bounds)
}

/// What is in a stream of requests, up to what is malformed or not whole.
#[derive(Debug)]
struct Requests {
    /// Of all whose head is whole.
    methods: Vec<Method>,
    /// Requests that are whole.
    whole: usize,
}

impl Requests {
    fn of(stream: &[u8]) -> Self {
        let (mut methods, mut whole) = (Vec::new(), 0);
        let mut rest = BytesMut::from(stream);
        loop {
            let mut request = Request::default();
            let Ok(Some(len)) = request.parse(&rest) else { break };
            methods.push(request.method);
            let _ = rest.split_to(len);
            let Ok(mut body) = Body::new(request.framing) else { break };
            let end = loop {
                match body.take(&mut rest, usize::MAX) {
                    Ok(Part::Data(_)) => {}
                    end => break end,
                }
            };
            if end != Ok(Part::End) {
                break;
            }
            whole += 1;
        }
        Self { methods, whole }
    }
}

/// What a stream of responses says.
#[derive(Debug, Default)]
struct Responses {
    /// Heads and bodies, without what frames chunks.
    text: Vec<u8>,
    /// Final responses that were begun.
    count: usize,
    /// The last one is whole.
    is_whole: bool,
    closes: bool,
}

impl Responses {
    fn of(mut bytes: &[u8], methods: &[Method]) -> Self {
        let mut said = Self { is_whole: true, ..Self::default() };
        while !bytes.is_empty() {
            assert!(!said.closes || !said.is_whole, "after the last response: {}", bytes.escape_ascii());
            said.is_whole = false;
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                said.text.extend_from_slice(bytes);
                break;
            };
            let (head, rest) = bytes.split_at(end + 4);
            said.text.extend_from_slice(head);
            let head = std::str::from_utf8(head).expect("a head is ASCII");
            if head == "HTTP/1.1 100 Continue\r\n\r\n" {
                bytes = rest;
                said.is_whole = true;
                continue;
            }
            let is_head = methods.get(said.count) == Some(&Method::Head);
            said.count += 1;
            said.closes |= head.contains("\r\nConnection: close\r\n");
            let field = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name));
            let after = if field("Transfer-Encoding: ") == Some("chunked") {
                chunks(rest, &mut said.text)
            } else {
                let len = field("Content-Length: ").expect("a body has an end").parse().expect("a length");
                let len = if is_head { 0 } else { len };
                said.text.extend_from_slice(&rest[..len.min(rest.len())]);
                rest.get(len..)
            };
            let Some(after) = after else { break };
            bytes = after;
            said.is_whole = true;
        }
        said
    }
}

/// What follows chunks that are whole. The server's have neither extensions nor trailers.
fn chunks<'a>(mut bytes: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let size = std::str::from_utf8(&bytes[..end]).ok().and_then(|line| line.strip_suffix('\r'));
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).expect("a size");
        let rest = &bytes[end + 1..];
        text.extend_from_slice(&rest[..size.min(rest.len())]);
        let after = rest.get(size + 2..)?;
        assert_eq!(&rest[size..size + 2], b"\r\n", "the end of a chunk");
        if size == 0 {
            return Some(after);
        }
        bytes = after;
    }
}
