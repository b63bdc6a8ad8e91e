use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::io::{Interest, Ready, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::address::{Address, Endpoint, Stream};

/// The maximum number of concurrent connections, more than an agent and its subagents open. Further connections wait in
/// the kernel's queue. The limit bounds memory to a few MiB and keeps file descriptors for the programs.
const MAX_CONNECTIONS: usize = 256;

/// The pause between two attempts to reach an absent gateway.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The pause after a failed accept. The usual cause is a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Pipes every connection to the gateway, byte for byte.
pub(crate) async fn serve(listener: TcpListener, address: Arc<Address>, tracker: TaskTracker) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed, so this does not fail.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((client, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let address = Arc::clone(&address);
        tracker.spawn(async move {
            let _place = place;
            pipe(client, &address).await;
        });
    }
}

async fn pipe(mut client: TcpStream, address: &Address) {
    let _ = client.set_nodelay(true);
    if let Some(mut gateway) = connect(&client, address).await {
        // Either end may break at any time. Both are then closed, so that the other end notices.
        let _ = copy_bidirectional(&mut client, &mut gateway).await;
    }
}

/// Keeps the client waiting while the coordinator is away. Returns `None` if the client leaves first.
async fn connect(client: &TcpStream, address: &Address) -> Option<Stream> {
    loop {
        if let Ok(gateway) = address.connect(Endpoint::Gateway).await {
            return Some(gateway);
        }
        sleep(RETRY_PAUSE).await;
        let gone = client.ready(Interest::READABLE).now_or_never();
        if gone.is_some_and(|ready| ready.map_or(true, Ready::is_read_closed)) {
            return None;
        }
    }
}
