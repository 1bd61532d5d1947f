//! The ring itself, and all that is unsafe about it.
//!
//! The kernel reads and writes memory of this process, and uses descriptors of it, between the moment it is given an
//! operation and the moment it says that the operation is complete. So whatever an operation needs is owned by the ring
//! until its completion was reaped: the bytes that are sent, the descriptor, the buffers that are received into. Nothing
//! that is done through the functions of this module, in whatever order, can free them earlier. A ring that is dropped
//! cancels what is in flight and reaps it; if that cannot be done, it leaks the memory.

#![allow(unsafe_code, reason = "what a ring is given is checked by nobody else")]

mod buffers;
#[cfg(test)]
mod tests;
mod unavailable;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use roundtrip_net::event_loop::{Rouse, Token, WAKE, Wake};
use rustix::event::{EventfdFlags, eventfd};

use crate::arena::Arena;
use crate::options::Uring;
use buffers::Buffers;

/// Operations that can be handed over in one call; what is more is handed over in the next.
const SUBMISSIONS: u32 = 512;
/// Completions that wait to be reaped without costing the kernel memory besides.
const COMPLETIONS: u32 = 4096;

/// How often, and for how long each time, a ring that is dropped waits for what it cancelled.
const LAST_ROUNDS: u32 = 100;
const LAST_ROUND: Duration = Duration::from_millis(100);

/// `POLLIN` and `POLLRDHUP` of poll(2), as an operation takes them.
const POLLIN: u32 = 1;
const POLLRDHUP: u32 = 0x2000;
/// `IORING_RECVSEND_POLL_FIRST` of `io_uring_prep_recv(3)`: do not try before the socket says that it is ready.
const POLL_FIRST: u16 = 1;
/// `IORING_RECV_MULTISHOT`: receive again and again.
const MULTISHOT: u16 = 2;
/// From so many bytes on that may be received, they are received again and again.
const MANY: usize = 4096;

/// A ring that was made and not used yet. It can go to the thread that will use it.
pub(crate) struct Prepared {
    ring: IoUring,
    buffers: Buffers,
    wake: Arc<Wake>,
    rouser: Rouser,
}

/// The ring of one thread, and what it is working on.
pub(crate) struct ThreadRing {
    // Dropped before the buffers are.
    ring: IoUring,
    /// Entries for which there was no room.
    backlog: VecDeque<squeue::Entry>,
    buffers: Buffers,
    lines: Vec<Line>,
    free: Vec<usize>,
    arena: Arena,
    wake: Arc<Wake>,
    /// The kernel limits what one operation receives in all: Linux since 6.17.
    limits: bool,
    entered: u64,
    /// Nothing can be learned of what is in flight any more.
    lost: bool,
}

/// A descriptor that operations are made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineId(usize);

#[derive(Default)]
struct Line {
    name: Option<Token>,
    /// None if the line is free.
    file: Option<Rc<dyn AsFd>>,
    /// What the kernel reads while a [`Kind::Send`] is in flight.
    sending: Bytes,
    /// A bit for each [`Kind`].
    in_flight: u8,
    /// Its last receive was to go on.
    goes_on: bool,
    /// Nobody wants to hear of it any more.
    detached: bool,
}

/// What an operation is. At most one of each is in flight on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Receive = 0,
    Send = 1,
    Watch = 2,
    /// Its completion says nothing: that of what it cancels does.
    Cancel = 3,
}

/// What to tell of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// That there is something to read, or to accept, now or later.
    Once,
    /// Each time that something is added.
    Always,
    /// That nothing more will come from the peer, or that the connection broke.
    HangUp,
}

/// How long to wait for a completion.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sleep {
    /// Not at all.
    No,
    /// Until there is one, or so long.
    For(Option<Duration>),
}

/// An operation is complete.
#[derive(Debug)]
pub(crate) struct Done {
    /// Of the line.
    pub(crate) name: Token,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Bytes that came; none is the peer's end.
    Received(io::Result<Received>),
    /// So many bytes were taken.
    Sent(io::Result<usize>),
    /// What was watched for.
    Ready,
}

#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    /// The kernel knows that there is more to read.
    pub(crate) more: bool,
    /// The same operation goes on receiving.
    pub(crate) goes_on: bool,
}

impl Prepared {
    /// A ring with its buffers.
    pub(crate) fn new(options: Uring) -> io::Result<Self> {
        let ring = IoUring::builder()
            // It is started by the thread that will use it, which may be another one.
            .setup_r_disabled()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)
            .map_err(|error| unavailable::explain(&error))?;
        let features = ring.params();
        if !(features.is_feature_nodrop() && features.is_feature_ext_arg()) {
            return Err(unavailable::too_old());
        }
        let buffers =
            Buffers::register(&ring, options.buffers).map_err(|error| unavailable::explain(&error))?;
        let rouser = Rouser(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?));
        let wake = Arc::new(Wake::new(rouser.clone()));
        Ok(Self { ring, buffers, wake, rouser })
    }

    pub(crate) const fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }

    /// Starts it, for this thread.
    pub(crate) fn start(self) -> ThreadRing {
        let Self { ring, buffers, wake, rouser } = self;
        // A ring that cannot be started says so whenever it is entered.
        let _ = ring.submitter().register_enable_rings();
        let mut uring = ThreadRing {
            ring,
            backlog: VecDeque::new(),
            buffers,
            lines: Vec::new(),
            free: Vec::new(),
            arena: Arena::default(),
            wake,
            limits: true,
            entered: 0,
            lost: false,
        };
        let line = uring.attach(WAKE, Rc::new(rouser));
        uring.watch(line, Watch::Always);
        uring
    }
}

impl ThreadRing {
    pub(crate) const fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }

    /// A line to this descriptor, of which is told by this name.
    pub(crate) fn attach(&mut self, name: Token, file: Rc<dyn AsFd>) -> LineId {
        let id = self.free.pop().unwrap_or(self.lines.len());
        let line = Line { name: Some(name), file: Some(file), ..Line::default() };
        match self.lines.get_mut(id) {
            Some(free) => *free = line,
            None => self.lines.push(line),
        }
        LineId(id)
    }

    /// Nobody wants to hear of this line any more. What is in flight is cancelled, and its descriptor let go of when that
    /// was reaped.
    pub(crate) fn detach(&mut self, id: LineId) {
        self.lines[id.0].detached = true;
        self.cancel(id);
        self.settle(id.0);
    }

    /// Whether nothing is in flight on this line, or nothing can be known of it.
    pub(crate) fn is_idle(&self, id: LineId) -> bool {
        self.lost || self.lines[id.0].in_flight == 0
    }

    /// Sends these bytes: what the socket takes `at_once`, or else as soon as it takes any.
    pub(crate) fn send(&mut self, id: LineId, bytes: Bytes, at_once: bool) {
        let fd = self.begin(id, Kind::Send);
        let line = &mut self.lines[id.0];
        line.sending = bytes;
        let flags = libc::MSG_NOSIGNAL | if at_once { libc::MSG_DONTWAIT } else { 0 };
        let len = u32::try_from(line.sending.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(fd, line.sending.as_ptr(), len).flags(flags).build();
        self.push(id, Kind::Send, entry);
    }

    /// Receives at most so many bytes, at one time or, unless it is to be `once`, at several: whether that is so. `wait` says
    /// that none are there yet.
    ///
    /// One that goes on may miss the end of the stream that comes together with bytes: some kernels (6.18 is one) receive
    /// them, and wait for a wake-up that they have had. Whoever has it go on watches for the [hang-up](Watch) as well.
    pub(crate) fn receive(&mut self, id: LineId, most: usize, wait: bool, once: bool) -> bool {
        let fd = self.begin(id, Kind::Receive);
        let goes_on = self.limits && most >= MANY && !once;
        self.lines[id.0].goes_on = goes_on;
        // A length of 0 would be the whole buffer.
        let most = u32::try_from(most.max(1)).unwrap_or(u32::MAX);
        // The kernel ends one that goes on *when* it has come to its limit, which the last time may have passed.
        let at_a_time = if goes_on { (most / 2).min(buffers::LEN) } else { most };
        let mut entry = opcode::Recv::new(fd, std::ptr::null_mut(), at_a_time)
            .buf_group(buffers::GROUP)
            .ioprio(match (goes_on, wait) {
                // Made to wait first, it takes what is there then for all there is.
                (true, _) => MULTISHOT,
                (false, true) => POLL_FIRST,
                (false, false) => 0,
            })
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        if goes_on {
            limit(&mut entry, most - at_a_time + 1);
        }
        self.push(id, Kind::Receive, entry);
        goes_on
    }

    /// Has it told.
    pub(crate) fn watch(&mut self, id: LineId, watch: Watch) {
        let fd = self.begin(id, Kind::Watch);
        let events = if watch == Watch::HangUp { POLLRDHUP } else { POLLIN };
        let entry = opcode::PollAdd::new(fd, events).multi(watch == Watch::Always).build();
        self.push(id, Kind::Watch, entry);
    }

    /// Cancels what is in flight. It is told of all the same, as it ended.
    pub(crate) fn cancel(&mut self, id: LineId) {
        for kind in [Kind::Receive, Kind::Send, Kind::Watch] {
            self.cancel_one(id, kind);
        }
    }

    /// Cancels a receive, if one is in flight.
    pub(crate) fn cancel_receive(&mut self, id: LineId) {
        self.cancel_one(id, Kind::Receive);
    }

    fn cancel_one(&mut self, id: LineId, kind: Kind) {
        if self.lines[id.0].in_flight & kind.bit() != 0 {
            let entry = opcode::AsyncCancel::new(user_data(id.0, kind)).build();
            self.push(id, Kind::Cancel, entry);
        }
    }

    /// Hands over what was asked for, and waits for completions.
    ///
    /// # Errors
    ///
    /// If the ring is of no use any more.
    pub(crate) fn enter(&mut self, sleep: Sleep) -> io::Result<()> {
        self.entered += 1;
        loop {
            self.unload_backlog();
            let sleep = if self.backlog.is_empty() { sleep } else { Sleep::No };
            match self.call(sleep) {
                Ok(()) if self.backlog.is_empty() => return Ok(()),
                Ok(()) => {}
                // What is complete is to be reaped first, then there is room, or memory.
                Err(error) if is_passing(&error) => return Ok(()),
                Err(error) => {
                    self.lost = true;
                    return Err(error);
                }
            }
        }
    }

    /// How often the ring was entered.
    pub(crate) const fn entered(&self) -> u64 {
        self.entered
    }

    /// Takes a completion.
    pub(crate) fn reap(&mut self) -> Option<Done> {
        loop {
            let entry = self.ring.completion().next()?;
            if let Some(done) = self.complete(&entry) {
                return Some(done);
            }
        }
    }

    /// What a completion says, if somebody wants to hear of it.
    fn complete(&mut self, entry: &cqueue::Entry) -> Option<Done> {
        let (index, kind) = who(entry.user_data());
        if kind == Kind::Cancel {
            return None;
        }
        let mut result =
            usize::try_from(entry.result()).map_err(|_| io::Error::from_raw_os_error(-entry.result()));
        let what = match kind {
            Kind::Receive => {
                let more = cqueue::sock_nonempty(entry.flags());
                let bytes = cqueue::buffer_select(entry.flags()).map(|buffer| {
                    let bytes =
                        self.arena.copy(self.buffers.filled(buffer, result.as_ref().map_or(0, |n| *n)));
                    self.buffers.give(buffer);
                    bytes
                });
                if entry.result() == -libc::EINVAL && self.lines[index].goes_on {
                    // The kernel knows no limit. It is asked again, without one.
                    self.limits = false;
                    result = Err(io::Error::from_raw_os_error(libc::ECANCELED));
                }
                let goes_on = cqueue::more(entry.flags());
                What::Received(result.map(|_| Received { bytes: bytes.unwrap_or_default(), more, goes_on }))
            }
            Kind::Send => What::Sent(result),
            Kind::Watch | Kind::Cancel => What::Ready,
        };
        let line = &mut self.lines[index];
        let name = line.name.filter(|_| !line.detached);
        if !cqueue::more(entry.flags()) {
            line.in_flight &= !kind.bit();
            if kind == Kind::Send {
                line.sending = Bytes::new();
            }
            if name == Some(WAKE) {
                self.watch(LineId(index), Watch::Always);
            }
            self.settle(index);
        }
        Some(Done { name: name?, what })
    }

    /// Frees a line that nobody wants to hear of and on which nothing is in flight.
    fn settle(&mut self, index: usize) {
        let line = &mut self.lines[index];
        if line.detached && line.in_flight == 0 && line.file.is_some() {
            *line = Line::default();
            self.free.push(index);
        }
    }

    fn begin(&mut self, id: LineId, kind: Kind) -> Fd {
        let line = &mut self.lines[id.0];
        // What a second one needs would take the place of what the first one uses.
        assert!(line.in_flight & kind.bit() == 0, "one {kind:?} at a time");
        let Some(file) = &line.file else { unreachable!("a line that was let go of") };
        line.in_flight |= kind.bit();
        Fd(file.as_fd().as_raw_fd())
    }

    fn push(&mut self, id: LineId, kind: Kind, entry: squeue::Entry) {
        let entry = entry.user_data(user_data(id.0, kind));
        if !self.backlog.is_empty() || !self.submit(&entry) {
            self.backlog.push_back(entry);
        }
    }

    fn unload_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.submit(&entry) {
                return self.backlog.push_front(entry);
            }
        }
    }

    /// Puts an entry into the submission queue, if there is room.
    fn submit(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: entries are made by `send`, `receive`, `watch` and `cancel_one` only. The descriptor of one is open, for
        // its line holds what owns it, and the bytes to send lie where they lie, for the line holds them, until `complete`
        // saw the last completion of it: `begin` refuses another of its kind until then, `settle` frees no line with one in
        // flight, and `drop` leaks what is still in flight. Buffers to receive into are picked by the kernel among those of
        // `self.buffers`, which are kept in the same way.
        unsafe { self.ring.submission().push(entry).is_ok() }
    }

    /// `io_uring_enter(2)`.
    fn call(&mut self, sleep: Sleep) -> io::Result<()> {
        let timeout = match sleep {
            Sleep::For(None) => return self.ring.submit_and_wait(1).map(drop),
            Sleep::For(Some(timeout)) if !timeout.is_zero() => Timespec::from(timeout),
            Sleep::No | Sleep::For(Some(_)) => {
                let entries = u32::try_from(self.ring.submission().len()).unwrap_or(u32::MAX);
                let flags = EnterFlags::GETEVENTS.bits();
                // SAFETY: no argument is passed, so there is no pointer that could be wrong.
                let entered =
                    unsafe { self.ring.submitter().enter::<libc::sigset_t>(entries, 0, flags, None) };
                return entered.map(drop);
            }
        };
        self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout)).map(drop)
    }
}

/// Limits what a receive that goes on receives in all: `optlen` of `io_uring_prep_recv_multishot(3)`, for which the crate
/// has no word.
const fn limit(entry: &mut squeue::Entry, bytes: u32) {
    /// Where it is in `struct io_uring_sqe`, in words: part of what the kernel promises.
    const OPTLEN: usize = 11;
    // SAFETY: an entry is 64 bytes as the kernel reads them (`repr(C)`), all of them initialised, and aligned to eight.
    unsafe { std::ptr::from_mut(entry).cast::<u32>().add(OPTLEN).write(bytes) }
}

/// Whether an error of `io_uring_enter(2)` only says that nothing was to be had now.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN))
}

impl Drop for ThreadRing {
    fn drop(&mut self) {
        for index in 0..self.lines.len() {
            if self.lines[index].file.is_some() {
                self.detach(LineId(index));
            }
        }
        for _ in 0..LAST_ROUNDS {
            if self.lines.iter().all(|line| line.in_flight == 0) {
                return;
            }
            if self.lost || self.enter(Sleep::For(Some(LAST_ROUND))).is_err() {
                break;
            }
            while self.reap().is_some() {}
        }
        // The kernel may use it still, at any time.
        std::mem::forget(std::mem::take(&mut self.lines));
        self.buffers.leak();
    }
}

impl Kind {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Names an operation to the kernel. No two that are in flight have the same name, but for those that cancel.
const fn user_data(index: usize, kind: Kind) -> u64 {
    (index as u64) << 2 | kind as u64
}

const fn who(user_data: u64) -> (usize, Kind) {
    let kind = match user_data & 3 {
        0 => Kind::Receive,
        1 => Kind::Send,
        2 => Kind::Watch,
        _ => Kind::Cancel,
    };
    ((user_data >> 2) as usize, kind)
}

/// A counter that is never read: each that is added wakes who watches it (eventfd(2)).
#[derive(Clone, Debug)]
struct Rouser(Arc<OwnedFd>);

impl Rouse for Rouser {
    fn rouse(&self) {
        // It fails when 2^64 wake-ups were counted.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl AsFd for Rouser {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("wake", &self.wake).finish_non_exhaustive()
    }
}

impl fmt::Debug for ThreadRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadRing")
            .field("lines", &self.lines.len())
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}
