//! A network of a test's own: all ports are free, and names resolve to what the test says.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::{have, place, poll, skip};

/// A network namespace with a loopback and nothing else, and a mount namespace with an `/etc/hosts` of its
/// own. They last as long as the process that holds them, and that as long as this.
pub(crate) struct Namespace {
    holder: Child,
}

impl Namespace {
    /// None, with a printed reason, where none can be made. `name` is the test's, `hosts` what `/etc/hosts` says.
    pub(crate) fn new(name: &str, hosts: &str) -> Option<Self> {
        // `cat` ends when its standard input does, even if we are killed.
        const HOLD: &str = "ip link set lo up && mount --bind \"$0\" /etc/hosts && echo ready && exec cat";
        if !have(&["unshare", "nsenter", "ip", "mount"]) {
            return None;
        }
        let file = place(&format!("hosts-{name}"), |file| std::fs::write(file, hosts).unwrap());
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", HOLD]).arg(file);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut made = Self { holder: command.spawn().unwrap() };
        let mut line = String::new();
        BufReader::new(made.holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if line != "ready\n" {
            skip("no network namespace can be made here: that needs root");
            return None;
        }
        Some(made)
    }

    /// A wire to another namespace: 192.0.2.1 and `2001:db8::1` at this end of it, 192.0.2.2 and `2001:db8::2` at the other,
    /// with 192.0.2.255 for both. Comes back when it carries.
    pub(crate) fn wire_to(&self, other: &Self) {
        self.ip(&format!("link add wire type veth peer name wire netns {}", other.id()));
        for (namespace, host) in [(self, 1), (other, 2)] {
            namespace.ip(&format!("address add 192.0.2.{host}/24 broadcast + dev wire"));
            // Where there is no IPv6, the tests of it say so.
            let v6 = format!("-6 address add 2001:db8::{host}/64 dev wire nodad");
            let _ = namespace.command("ip").args(v6.split(' ')).stderr(Stdio::null()).status();
            namespace.ip("link set wire up");
            namespace.ip("route add 239.0.0.0/8 dev wire");
        }
        for namespace in [self, other] {
            poll("the wire carries", || namespace.ip("-o link show wire").contains("state UP").then_some(()));
        }
    }

    /// Configures the network inside with ip(8); what it prints.
    #[track_caller]
    pub(crate) fn ip(&self, args: &str) -> String {
        let output = self.command("ip").args(args.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {args}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The process that holds it, which ip(8) takes for its name.
    pub(crate) fn id(&self) -> u32 {
        self.holder.id()
    }

    /// A command that runs inside.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--target", &self.holder.id().to_string(), "--"]).arg(program);
        command
    }

    /// Waits until somebody listens on `port`, without connecting: some servers accept only once.
    pub(crate) fn wait_for_listener(&self, port: u16) {
        let listens = |table: &str| {
            let sockets = std::fs::read_to_string(format!("/proc/{}/net/{table}", self.holder.id())).unwrap();
            // Number, local address, remote address, state: proc_net_tcp(5).
            sockets.lines().any(|line| {
                let fields: Vec<_> = line.split_whitespace().collect();
                fields[1].ends_with(&format!(":{port:04X}")) && fields[3] == "0A"
            })
        };
        poll("somebody listens", || (listens("tcp") || listens("tcp6")).then_some(()));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
