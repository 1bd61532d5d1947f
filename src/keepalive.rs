//! `--keepalive`.

use std::fmt;
use std::time::Duration;

use roundtrip_std::Keepalive;

use crate::units::{duration, parse_duration};

/// Probes on silent connections, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeepaliveArg(pub(crate) Option<Keepalive>);

impl KeepaliveArg {
    /// Of an option that may be left out.
    pub(crate) fn or_default(asked: Option<Self>) -> Option<Keepalive> {
        asked.map_or_else(|| Some(Keepalive::default()), |Self(keepalive)| keepalive)
    }
}

impl fmt::Display for KeepaliveArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("off"),
            Some(Keepalive { idle, interval, probes, .. }) => {
                write!(f, "{},{},{probes}", duration(idle), duration(interval))
            }
        }
    }
}

/// `60s`, `60s,10s`, `60s,10s,6`, or `off`.
pub(crate) fn parse_keepalive(text: &str) -> Result<KeepaliveArg, String> {
    if text == "off" {
        return Ok(KeepaliveArg(None));
    }
    let mut keepalive = Keepalive::default();
    let mut parts = text.split(',');
    let time = |text: &str| match parse_duration(text)? {
        time if time > Duration::from_secs(32_767) => Err("more than 32767s\nuse at most 9h".to_owned()),
        time => Ok(time),
    };
    if let Some(idle) = parts.next() {
        keepalive.idle = time(idle)?;
    }
    if let Some(interval) = parts.next() {
        keepalive.interval = time(interval)?;
    }
    if let Some(probes) = parts.next() {
        let count = probes.parse().ok().filter(|count| (1..=127).contains(count));
        keepalive.probes = count.ok_or("not a number of probes\nwrite 1 to 127, as in 60s,10s,6")?;
    }
    match parts.next() {
        Some(_) => Err("more than three parts\nwrite IDLE,INTERVAL,PROBES, as in 60s,10s,6".to_owned()),
        None => Ok(KeepaliveArg(Some(keepalive))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let seconds = Duration::from_secs;
        for (text, idle, interval, probes) in
            [("5s", 5, 10, 6), ("5s,2s", 5, 2, 6), ("5m,2s,9", 300, 2, 9), ("32767s,1s,127", 32_767, 1, 127)]
        {
            let expected =
                Keepalive::default().idle(seconds(idle)).interval(seconds(interval)).probes(probes);
            let parsed = parse_keepalive(text).unwrap();
            assert_eq!(parsed, KeepaliveArg(Some(expected)), "{text}");
            assert_eq!(parse_keepalive(&parsed.to_string()), Ok(parsed));
        }
        assert_eq!(parse_keepalive("off"), Ok(KeepaliveArg(None)));
        for wrong in ["", "5", "on", "5s,", "5s,2s,0", "5s,2s,128", "5s,2s,9,1", "32768s", "0s"] {
            assert!(parse_keepalive(wrong).is_err(), "{wrong}");
        }
    }
}
