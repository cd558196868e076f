//! The doorbell keeps ringing, whatever kept it from being on time. It runs by the real clock: waits are bounded, and end
//! as soon as it rings.

use std::sync::mpsc;
use std::time::Duration;

use recoup::app::{build_engine, open_store};
use recoup::config::Config;
use recoup::engine::Engine;
use recoup::scheduler::Doorbell;
use recoup::store::Store;

/// Far longer than a ring takes, so that only a dead bell runs into it.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than two turns of the bell are missed in this time.
const LATE: Duration = Duration::from_millis(2_500);

/// An engine on an empty database, which nothing but the doorbell rings for.
async fn engine(folder: &std::path::Path) -> (Engine, Store) {
    let url = format!("sqlite://{}", folder.join("recoup.db").display());
    let config = Config::load(None, [("RECOUP__DATABASE__URL".to_owned(), url)].into_iter()).unwrap();
    let store = open_store(&config).await.unwrap();
    (build_engine(&config, &store, None).await.unwrap(), store)
}

async fn rings(engine: &Engine, times: u32) {
    for _ in 0..times {
        tokio::time::timeout(PATIENCE, engine.rung())
            .await
            .expect("the doorbell rings");
    }
}

#[test]
fn the_bell_rings_again_after_it_missed_its_turns() {
    let folder = tempfile::tempdir().unwrap();
    // One thread carries everything, so that blocking it makes the scheduler late.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (engine, store) = engine(folder.path()).await;
        let bell = Doorbell::start(&engine, &store).await.unwrap();
        rings(&engine, 1).await;
        for _ in 0..2 {
            // Nobody ever sends: the channel only keeps the thread busy for as long as it waits.
            let (_open, nothing) = mpsc::channel::<()>();
            nothing.recv_timeout(LATE).unwrap_err();
            // The first may have been rung before the thread was blocked; the others were not.
            rings(&engine, 3).await;
        }
        bell.stop().await.unwrap();
    });
}

#[test]
fn a_bell_that_was_stopped_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (engine, store) = engine(folder.path()).await;
        let bell = Doorbell::start(&engine, &store).await.unwrap();
        rings(&engine, 1).await;
        bell.stop().await.unwrap();
        // A turn that had begun may still ring; after that there is silence.
        let silent = async { while tokio::time::timeout(LATE, engine.rung()).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, silent)
            .await
            .expect("the bell is silent");
    });
}
