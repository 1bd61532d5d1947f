//! A name that clients connect to.

use std::fmt;
use std::io;
use std::sync::Arc;

use roundtrip_net::{BindOptions, Endpoint, NetError, Stage};

use crate::stream::{Stream, unsupported};
use crate::system::{self, Handle, Operation, Shape};

/// Bytes that the system holds in each direction of a connection.
const BUFFER: u32 = 64 << 10;

/// A pipe that listens: one instance of it waits for the next client. Dropped, a client that had come is disconnected.
pub struct Listener {
    endpoint: Endpoint,
    name: String,
    shape: Shape,
    /// None if it could not be made: it is tried again.
    waiting: Option<Waiting>,
}

/// An instance that waits for its client.
struct Waiting {
    handle: Arc<Handle>,
    connecting: Operation,
    has_begun: bool,
}

/// Listens on a pipe.
///
/// # Errors
///
/// [`NetError`] of the bind: `AddrInUse` if somebody has a pipe of that name; `Unsupported` for what is no pipe, and anywhere
/// but on Windows.
pub fn bind(endpoint: &Endpoint, options: &BindOptions) -> Result<Listener, NetError> {
    let failed = |source| NetError::new(Stage::Bind, source);
    let Endpoint::Pipe { name, message, .. } = endpoint else {
        return Err(failed(unsupported(endpoint)));
    };
    let buffer = options.socket_buffer.map_or(BUFFER, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX));
    let shape = Shape { first: true, message: *message, buffer };
    let waiting = Waiting::new(name, shape).map_err(|error| match error.raw_os_error() {
        Some(system::ACCESS_DENIED) => {
            failed(io::Error::new(io::ErrorKind::AddrInUse, "somebody has a pipe of that name"))
        }
        _ => failed(error),
    })?;
    let shape = Shape { first: false, ..shape };
    Ok(Listener { endpoint: endpoint.clone(), name: name.clone(), shape, waiting: Some(waiting) })
}

impl Waiting {
    fn new(name: &str, shape: Shape) -> io::Result<Self> {
        let handle = Arc::new(system::create_pipe(name, shape)?);
        let connecting = Operation::new(Arc::clone(&handle))?;
        Ok(Self { handle, connecting, has_begun: false })
    }
}

impl Listener {
    /// What clients connect to.
    ///
    /// # Errors
    ///
    /// None; a socket's may not be known.
    pub fn local_endpoint(&self) -> io::Result<Endpoint> {
        Ok(self.endpoint.clone())
    }

    /// Makes sure that an instance waits for a client: what tells that one has come.
    pub(crate) fn listen(&mut self) -> io::Result<&Operation> {
        let mut waiting = match self.waiting.take() {
            Some(waiting) => waiting,
            None => Waiting::new(&self.name, self.shape)?,
        };
        // Not before somebody serves: what a thread began ends with it.
        if !waiting.has_begun {
            waiting.connecting.connect()?;
            waiting.has_begun = true;
        }
        Ok(&self.waiting.insert(waiting).connecting)
    }

    /// Whether a client has come.
    pub(crate) fn has_client(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.connecting.is_complete())
    }

    /// The client that has come; the next instance waits from now on.
    pub(crate) fn accept(&mut self) -> io::Result<Option<Stream>> {
        if !self.has_client() {
            return Ok(None);
        }
        let Some(Waiting { handle, mut connecting, .. }) = self.waiting.take() else { return Ok(None) };
        // Before this one can be over, so that the name is never free. Without it, the next look tries again.
        self.waiting = Waiting::new(&self.name, self.shape).ok();
        connecting.finish().transpose()?;
        Stream::new(handle, self.shape.message).map(Some)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(Waiting { handle, mut connecting, .. }) = self.waiting.take() {
            drop(connecting.cancel());
            // A client that had come is not served: that must not look like an orderly end.
            handle.disconnect();
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
