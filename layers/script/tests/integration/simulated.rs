//! Scripts on both sides in the simulator: both directions at once, stops, resets, crashes.

use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Each};
use roundtrip_script::{Script, ScriptConfig, ScriptEnd, ScriptIo, join};
use roundtrip_sim::{Did, Draw, Injected, Moment, Reached, Scenario, Setup, Violation};

const BUFFER: usize = 256;

/// Sends back what comes, as it comes.
async fn echo(io: ScriptIo) {
    while let Ok(Some(bytes)) = io.until_stopped(io.read_some(BUFFER)).await {
        io.write(bytes).await;
    }
}

/// Sends `total` numbers, and counts those that come back at the same time.
async fn upload(io: ScriptIo, total: u32) -> u32 {
    let sending = async {
        for number in 0..total {
            io.write(number.to_be_bytes()).await;
        }
        io.shut_down_write().await;
    };
    let receiving = async {
        let mut expected = 0_u32;
        while let Ok(number) = io.read_exact(4).await {
            if *number != expected.to_be_bytes() {
                return u32::MAX;
            }
            expected += 1;
        }
        expected
    };
    join(sending, receiving).await.1
}

type Machines<O> = Each<Box<dyn FnMut(Time, ConnectionId) -> Script<O> + Send>>;

struct Duplex;

impl Scenario for Duplex {
    type Server = Machines<()>;
    type Client = Machines<u32>;

    fn name(&self) -> &'static str {
        "script-duplex"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Self::Client, Self::Server) {
        let window = draw.one_of(0, &[64, 4096]);
        let setup = Setup::default().clients(2).window(window).send_buffer(window);
        let config = ScriptConfig::default().inbox(BUFFER).outbox(BUFFER).idle(Some(Duration::from_secs(30)));
        let config = Arc::new(config);
        let total = draw.one_of(1, &[500, 1, 0]);
        let grace = Duration::from_millis(draw.one_of(2, &[5000, 3]));
        let servers = Arc::new(ScriptConfig::clone(&config).grace(grace));
        let client = move |now, _| Script::new(Arc::clone(&config), now, |io| upload(io, total));
        let server = move |now, _| Script::new(Arc::clone(&servers), now, echo);
        (setup, Each(Box::new(client)), Each(Box::new(server)))
    }

    fn check(&self, moment: &Moment<'_, Self>, _: &mut Reached) -> Result<(), Violation> {
        let connection = moment.connection;
        let held = connection.server().machine().map_or(0, Script::held);
        let held = held.max(connection.client().machine().map_or(0, Script::held));
        if held > 2 * BUFFER {
            return Err(Violation::new("memory", format!("{held} bytes are held")));
        }
        Ok(())
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let connection = moment.connection;
        let (client, server) = (connection.client().outcome(), connection.server().outcome());
        reached.reach_if(0, server.is_some_and(|server| server.end == ScriptEnd::Stopped));
        let Some(client) = client else { return Ok(()) };
        reached.reach_if(1, client.end == ScriptEnd::Finished && client.received == 2000);
        reached.reach_if(2, connection.client().ever().has(Did::STOP));
        if client.output == Some(u32::MAX) {
            return Err(Violation::new("echoed", "another number came back"));
        }
        let is_whole = client.output.map(|numbers| u64::from(numbers) * 4) == Some(client.sent);
        if connection.injected() == Injected::default() && client.end == ScriptEnd::Finished && !is_whole {
            return Err(Violation::new("whole", format!("{client:?}")));
        }
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        &["a server is cut off", "all came back", "a client is stopped"]
    }
}

#[test]
fn both_directions_at_once_come_to_an_end_whatever_happens() {
    roundtrip_sim::check(&Duplex, 0..1000);
}
