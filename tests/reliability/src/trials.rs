//! The table of trials.

use crate::server::Server;
use crate::{
    Cell, Failed, Scale, burst, clients, datagrams, descriptors, drain, dripping, full_disk, half_close,
    limits, memory, passed, resets, socket_file, sources, tls, vanished,
};

/// A row of the table: a name, the figure to reach, and how it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) figure: &'static str,
    /// Whether the figure depends on how busy the machine is.
    pub(crate) is_timed: bool,
    /// Whether it measures memory, in which pages that processes share count in proportion: never beside another.
    pub(crate) is_alone: bool,
    pub(crate) run: Run,
}

/// How a trial is run, and with which servers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// With every server.
    Every(fn(&Server, Scale) -> Result<Cell, Failed>),
    /// With our program alone, on this driver: it needs options, endpoints or a client that other servers do not have.
    Ours(fn(&'static str, Scale) -> Result<Cell, Failed>),
}

impl Run {
    pub(crate) fn with(self, server: &Server, scale: Scale) -> Result<Cell, Failed> {
        match (self, server.driver()) {
            (Self::Every(run), _) => run(server, scale),
            (Self::Ours(run), Some(driver)) => run(driver, scale),
            (Self::Ours(_), None) => Ok(Cell::none()),
        }
    }
}

pub(crate) const ALL: &[Trial] = &[
    Trial {
        name: "1 byte, half-close",
        figure: "10,000 of 10,000 echoed (others: 1,000)",
        is_timed: false,
        is_alone: false,
        run: Run::Every(half_close::one_byte),
    },
    Trial {
        name: "10 MiB, half-close, the client reads nothing for 2 s",
        figure: "100 of 100 echoed, orderly end",
        is_timed: false,
        is_alone: false,
        run: Run::Every(half_close::slow_reader),
    },
    Trial {
        name: "SIGTERM while 100 clients send",
        figure: "0 bytes lost, exit 0",
        is_timed: false,
        is_alone: false,
        run: Run::Every(drain::trial),
    },
    Trial {
        name: "200 clients, 64 file descriptors",
        figure: "< 1 % of a core, ≤ 1 line in 5 s, recovers within 1 s",
        is_timed: true,
        is_alone: false,
        run: Run::Every(descriptors::trial),
    },
    Trial {
        name: "1,000 clients that never read, 8 KiB buffers",
        figure: "≤ 16 KiB each (std: reported), p99 of others ≤ 2×",
        is_timed: true,
        is_alone: true,
        run: Run::Every(memory::never_read),
    },
    Trial {
        name: "200 clients that never read, then disconnect",
        figure: "≤ 320 KiB each, ≥ 90 % freed",
        is_timed: false,
        is_alone: true,
        run: Run::Every(memory::freed),
    },
    Trial {
        name: "idle connections",
        figure: "≤ 2 KiB each at 10,000 (std: reported)",
        is_timed: false,
        is_alone: true,
        run: Run::Every(memory::idle),
    },
    Trial {
        name: "burst of 2,000 connects",
        figure: "all served in < 0.5 s",
        is_timed: true,
        is_alone: false,
        run: Run::Every(burst::trial),
    },
    Trial {
        name: "200 silent, 200 non-reading, 200 dripping clients; `--idle 2s --half-close-idle 1s --max-age 5s`",
        figure: "all closed, others served",
        is_timed: false,
        is_alone: false,
        run: Run::Every(limits::trial),
    },
    Trial {
        name: "100,000 resets (others: 10,000)",
        figure: "keeps running, descriptors and memory constant",
        is_timed: false,
        is_alone: true,
        run: Run::Every(resets::trial),
    },
    Trial {
        name: "100,000 clients of the driver, each reset by its server",
        figure: "descriptors and memory constant",
        is_timed: false,
        is_alone: true,
        run: Run::Ours(clients::trial),
    },
    Trial {
        name: "40 Unix datagram peers that send for 10 s and never read",
        figure: "another peer answered, ≤ half of the send buffer + 1 datagram unread per peer, ≤ 1 warning in 5 s",
        is_timed: false,
        is_alone: false,
        run: Run::Ours(datagrams::trial),
    },
    Trial {
        name: "`unix:PATH,mode=0666`, PATH replaced by a symbolic link while it binds",
        figure: "target unchanged in 1,000 starts (250 per driver)",
        is_timed: false,
        is_alone: false,
        run: Run::Ours(socket_file::swapped),
    },
    Trial {
        name: "stale Unix socket in a folder that another process has locked",
        figure: "replaced and served",
        is_timed: false,
        is_alone: false,
        run: Run::Ours(socket_file::locked),
    },
    Trial {
        name: "`--max-per-source 5`, 600 addresses of one IPv6 /64",
        figure: "5 of 600 admitted; IPv4-mapped: 5 per address",
        is_timed: false,
        is_alone: false,
        run: Run::Ours(sources::trial),
    },
    Trial {
        name: "failed TLS handshakes for 10 s, then SIGTERM",
        figure: "≤ 1 warning in 5 s, all counted, 0 bytes lost, exit 0",
        is_timed: false,
        is_alone: false,
        run: Run::Ours(tls::trial),
    },
    Trial {
        name: "20 clients whose host vanished after their echo was acknowledged, then SIGTERM",
        figure: "0 bytes lost, exit 0",
        is_timed: false,
        is_alone: false,
        run: Run::Ours(vanished::trial),
    },
    Trial {
        name: "hostile `LISTEN_FDS`, 1 GiB of address space",
        figure: "an error and exit 4 for each of 10 values",
        is_timed: false,
        is_alone: false,
        run: Run::Ours(passed::trial),
    },
    Trial {
        name: "disk full: `--record`, `--svg`, `--report`",
        figure: "an error and exit 3, existing file untouched",
        is_timed: false,
        is_alone: false,
        run: Run::Ours(full_disk::trial),
    },
    Trial {
        name: "`check --timeout 3s`, the server sends one wrong byte every 200 ms",
        figure: "verdict within 3.5 s of the first",
        is_timed: true,
        is_alone: false,
        run: Run::Ours(dripping::trial),
    },
];
