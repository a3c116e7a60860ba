//! What a node keeps never outlives a change that it could not hear.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rivergen_kernel::UserId;
use rivergen_platform::{Database, Event, Kept};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::database::TestDatabase;

const ADA: UserId = UserId(1);

/// How long a node may be deaf: a question to its connection, and some tries to get another. Far below the lifetime of what
/// it keeps.
const PATIENCE: Duration = Duration::from_secs(30);

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a node keeps of people, for ten minutes if nothing changes.
fn kept(node: &Database) -> Kept<UserId, u32> {
    Kept::new(node.bus(), 10, Duration::from_secs(600), |user, _| vec![Event::UserChanged(*user)])
}

async fn change(node: &Database) {
    let tx = node.begin().await.unwrap();
    tx.publish(Event::UserChanged(ADA)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_before_the_node_listened_again_is_forgotten() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let node = database.another_node().await;
    let kept = kept(&node);
    let resyncs = Arc::new(AtomicUsize::new(0));
    let counted = resyncs.clone();
    node.bus().subscribe(move |event| {
        if *event == Event::Resync {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    database.close().await;
    eventually("the node to find that its connection is gone", || resyncs.load(Ordering::SeqCst) > 0).await;
    database.open().await;
    // The database answers again and the node does not listen yet.
    kept.load(ADA, async { Ok(1) }).await.unwrap();
    let other = database.another_node().await;
    change(&other).await;
    eventually("the node to forget what it kept", || kept.get(&ADA).is_none()).await;
    // From now on it hears again.
    kept.load(ADA, async { Ok(2) }).await.unwrap();
    change(&other).await;
    eventually("the node to hear of the change", || kept.get(&ADA).is_none()).await;
    database.remove().await;
}

/// A way to PostgreSQL whose connections can fall silent without being closed, as a firewall lets them.
struct Line {
    address: std::net::SocketAddr,
    silent: watch::Sender<usize>,
}

impl Line {
    async fn to(postgres: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silent, silenced) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let (postgres, mut silenced) = (postgres.clone(), silenced.clone());
                silenced.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut there) = TcpStream::connect(postgres).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut here, &mut there) => {}
                        // Both ends stay open, and nothing passes.
                        Ok(()) = silenced.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, silent }
    }

    /// Those that are open; later ones are not concerned.
    fn fall_silent(&self) {
        self.silent.send_modify(|times| *times += 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_died_in_silence_is_found() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let line = Line::to(database.address()).await;
    let node = database.another_node_through(line.address).await;
    let kept = kept(&node);
    kept.load(ADA, async { Ok(1) }).await.unwrap();
    line.fall_silent();
    change(&database.db).await;
    eventually("the node to forget what it kept", || kept.get(&ADA).is_none()).await;
    database.remove().await;
}
