//! The greeting in the simulator, and over a socket.

use std::sync::Arc;

use roundtrip_core::Time;
use roundtrip_core::admission::Limits;
use roundtrip_core::hub::{ConnectionId, Each, Hub, Mail};
use roundtrip_script::{Script, ScriptConfig, ScriptEnd};
use roundtrip_sim::{Draw, Injected, Moment, Reached, Scenario, Setup, Violation};
use roundtrip_std::{Accepted, Backend, BindOptions, ConnectOptions, ServerHandle};

use super::{AskError, Infallible, ask, server};

/// The servers, and who said hello to them.
struct Servers {
    extensions: Arc<[&'static str]>,
    names: Vec<String>,
}

impl Hub for Servers {
    type Session = Script<(), Infallible, String>;

    fn open(&mut self, now: Time, _: ConnectionId) -> Self::Session {
        server(&self.extensions, now)
    }

    fn event(&mut self, _: Time, _: ConnectionId, name: String, _: &mut dyn Mail<Infallible>) {
        self.names.push(name);
    }
}

struct Greeting;

impl Scenario for Greeting {
    type Server = Servers;
    type Client = Each<fn(Time, ConnectionId) -> Script<Result<Vec<String>, AskError>>>;

    fn name(&self) -> &'static str {
        "greeting"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Self::Client, Self::Server) {
        let all = ["server.example", "8BITMIME", "SIZE 1000000", "PIPELINING", "HELP"];
        let extensions = all[..=draw.below(0, 4) as usize].into();
        let client = |now, _| Script::new(Arc::new(ScriptConfig::default()), now, ask);
        // Longer than any time limit of the conversation.
        let settle = super::LIMIT * 10;
        (Setup::default().settle(settle), Each(client), Servers { extensions, names: Vec::new() })
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let Some(client) = moment.connection.client().outcome() else { return Ok(()) };
        let is_undisturbed = moment.connection.injected() == Injected::default();
        reached.reach_if(0, client.end == ScriptEnd::Finished && matches!(client.output, Some(Ok(_))));
        reached.reach_if(
            1,
            matches!(&client.output, Some(Err(AskError::Reply(line))) if line.starts_with("421")),
        );
        reached.reach_if(2, matches!(client.output, Some(Err(AskError::Read(_)))));
        match &client.output {
            // Whatever happened: if it is told, it is right, and the server was told, too.
            Some(Ok(told)) if *told != moment.server.extensions[1..] => {
                Err(Violation::new("extensions", format!("{told:?}")))
            }
            Some(Ok(_)) if moment.server.names != ["client.example"] => {
                Err(Violation::new("names", format!("{:?}", moment.server.names)))
            }
            Some(Ok(_)) => Ok(()),
            other if is_undisturbed => Err(Violation::new("told", format!("{other:?}"))),
            _ => Ok(()),
        }
    }

    fn goals(&self) -> &'static [&'static str] {
        &["the extensions are told", "the server closes", "the server's end comes early"]
    }
}

#[test]
fn what_is_told_is_right_whatever_the_network_does() {
    roundtrip_sim::check(&Greeting, 0..2000);
}

#[test]
fn a_client_asks_a_server_over_a_socket() {
    let listener = roundtrip_std::bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let endpoint = listener.local_endpoint().unwrap();
    let (handle, extensions) = (ServerHandle::new(), ["server.example", "HELP"].into());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let app = |now, _: &Accepted| server(&extensions, now);
            roundtrip_std::Std.serve(vec![listener], Limits::default(), &handle, &app).unwrap();
        });
        let stream = roundtrip_std::connect(&endpoint, &ConnectOptions::default()).unwrap();
        let client = |now| Script::new(Arc::new(ScriptConfig::default()), now, ask);
        let outcome = roundtrip_std::drive(stream, client).unwrap().outcome;
        handle.stop();
        assert_eq!((outcome.end, outcome.output), (ScriptEnd::Finished, Some(Ok(vec!["HELP".to_owned()]))));
    });
}
