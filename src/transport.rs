//! What connections run over: sockets, or named pipes of Windows. Each kind has drivers of its own.

use std::io;

use roundtrip_std::{BindOptions, ConnectOptions, Endpoint, NetError};

/// What listens.
#[derive(Debug)]
pub(crate) enum Listener {
    Socket(roundtrip_std::Listener),
    Pipe(roundtrip_pipe::Listener),
}

/// What is connected.
#[derive(Debug)]
pub(crate) enum Stream {
    Socket(roundtrip_std::Stream),
    Pipe(roundtrip_pipe::Stream),
}

/// Whether it is a pipe, where there are pipes. Elsewhere, what binds and connects sockets refuses it like all else that is
/// not there.
pub(crate) const fn is_pipe(endpoint: &Endpoint) -> bool {
    cfg!(windows) && matches!(endpoint, Endpoint::Pipe { .. })
}

pub(crate) fn bind(endpoint: &Endpoint, options: &BindOptions) -> Result<Listener, NetError> {
    if is_pipe(endpoint) {
        roundtrip_pipe::bind(endpoint, options).map(Listener::Pipe)
    } else {
        roundtrip_std::bind(endpoint, options).map(Listener::Socket)
    }
}

pub(crate) fn connect(endpoint: &Endpoint, options: &ConnectOptions) -> Result<Stream, NetError> {
    if is_pipe(endpoint) {
        roundtrip_pipe::connect(endpoint, options).map(Stream::Pipe)
    } else {
        roundtrip_std::connect(endpoint, options).map(Stream::Socket)
    }
}

impl Listener {
    pub(crate) fn local_endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Self::Socket(listener) => listener.local_endpoint(),
            Self::Pipe(listener) => listener.local_endpoint(),
        }
    }

    pub(crate) fn into_socket(self) -> Option<roundtrip_std::Listener> {
        match self {
            Self::Socket(listener) => Some(listener),
            Self::Pipe(_) => None,
        }
    }

    pub(crate) fn into_pipe(self) -> Option<roundtrip_pipe::Listener> {
        match self {
            Self::Socket(_) => None,
            Self::Pipe(listener) => Some(listener),
        }
    }
}

impl Stream {
    /// The socket, if it is one.
    pub(crate) const fn socket(&self) -> Option<&roundtrip_std::Stream> {
        match self {
            Self::Socket(stream) => Some(stream),
            Self::Pipe(_) => None,
        }
    }

    pub(crate) fn into_socket(self) -> Option<roundtrip_std::Stream> {
        match self {
            Self::Socket(stream) => Some(stream),
            Self::Pipe(_) => None,
        }
    }

    pub(crate) fn into_pipe(self) -> Option<roundtrip_pipe::Stream> {
        match self {
            Self::Socket(_) => None,
            Self::Pipe(stream) => Some(stream),
        }
    }
}
