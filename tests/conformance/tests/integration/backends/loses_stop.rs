//! A driver with a bug from the field: it takes a command and a stop from its mailbox at once, and tells the session of one of them.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Duration;

use roundtrip_core::admission::Limits;
use roundtrip_core::bytes::Bytes;
use roundtrip_core::{Driven, Machine, Step, Time};
use roundtrip_net::{
    Accepted, Application, Backend, Bell, Clock, ConnectionReport, Listener, MAILBOX, Mail, Mailbox,
    ServerHandle, ServerStats, Stream,
};

/// Serves as the blocking driver does, and drives clients itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LosesStop;

impl Backend for LosesStop {
    fn serve_with<A: Application<Accepted, Machine: Send>>(
        &self,
        clock: &impl Clock,
        listeners: Vec<Listener>,
        limits: Limits,
        handle: &ServerHandle,
        app: &A,
    ) -> io::Result<ServerStats> {
        roundtrip_std::Std.serve_with(clock, listeners, limits, handle, app)
    }

    fn drive_all_with<A: Application<usize, Machine: Send>>(
        &self,
        clock: &impl Clock,
        streams: impl IntoIterator<Item = Stream>,
        app: &A,
    ) -> io::Result<()> {
        for (index, stream) in streams.into_iter().enumerate() {
            let (mailbox, control) = Mailbox::new(MAILBOX, Arc::new(Unpark(thread::current())));
            let mut session = Driven::new(app.open(clock.now(), &index, &control));
            let report =
                drive(&stream, clock, &mailbox, &mut session, |event| app.event(&index, &control, event))?;
            app.ended(&index, report);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Unpark(Thread);

impl Bell for Unpark {
    fn ring(&self) {
        self.0.unpark();
    }
}

fn drive<M: Machine>(
    stream: &Stream,
    clock: &impl Clock,
    mailbox: &Mailbox<M::Command>,
    session: &mut Driven<M>,
    mut events: impl FnMut(M::Event),
) -> io::Result<ConnectionReport<M::Outcome>> {
    let mut buffer = [0; 4096];
    loop {
        let now = clock.now();
        match session.step(now) {
            Step::Write => {
                let wrote = stream.write(session.pending())?;
                session.wrote(now, wrote);
            }
            Step::ShutdownWrite => stream.half_close()?,
            Step::Event(event) => events(event),
            Step::Close { outcome, .. } => return Ok(ConnectionReport::new(outcome)),
            Step::Wait(wait) => {
                let room = buffer.len().min(wait.read);
                match stream.read(&mut buffer[..room]) {
                    Ok(0) if room > 0 => session.eof(now),
                    Ok(read) if room > 0 => drop(session.data(now, Bytes::copy_from_slice(&buffer[..read]))),
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                    _ if tell_one(now, mailbox, session) => {}
                    // Readiness is not waited for: this is no driver to copy.
                    _ => thread::park_timeout(Duration::from_millis(1)),
                }
            }
        }
    }
}

/// Takes all that is in the mailbox, and tells the session of one thing. This is the bug.
fn tell_one<M: Machine>(now: Time, mailbox: &Mailbox<M::Command>, session: &mut Driven<M>) -> bool {
    let mut stop = false;
    loop {
        match mailbox.take(session.command_credit() > 0) {
            Some(Mail::Abort) => session.abort(now),
            Some(Mail::Stop) => {
                stop = true;
                continue;
            }
            Some(Mail::Command(command)) => drop(session.command(now, command)),
            None if stop => session.stop(now),
            None => return false,
        }
        return true;
    }
}
