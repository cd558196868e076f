//! Campaigns, API keys, idempotency, settings.

use recoup::domain::ids::KeyId;
use recoup::domain::role::Role;
use recoup::store::idempotency::{self, Begun};
use recoup::store::keys::{self, KeyRow};
use recoup::store::{StoreError, campaigns, settings};

use super::samples::{in_secs, now};
use crate::support::campaigns::days;
use crate::support::databases::each_database;

#[test]
fn a_campaign_version_never_changes() {
    each_database(async |store| {
        let first = days();
        campaigns::put(store.conn(), &first, now()).await.unwrap();
        campaigns::put(store.conn(), &first, in_secs(1)).await.unwrap();
        let mut changed = first.clone();
        changed.ending.after_days += 1;
        let refusal = campaigns::put(store.conn(), &changed, now()).await.unwrap_err();
        assert!(matches!(refusal, StoreError::Conflict(_)), "{refusal}");
        changed.version = 10;
        campaigns::put(store.conn(), &changed, now()).await.unwrap();

        assert_eq!(
            campaigns::get(store.conn(), "default", 1).await.unwrap().as_ref(),
            Some(&first)
        );
        assert_eq!(campaigns::get(store.conn(), "default", 2).await.unwrap(), None);
        assert_eq!(
            campaigns::newest(store.conn(), "default").await.unwrap().as_ref(),
            Some(&changed)
        );
        assert_eq!(campaigns::newest(store.conn(), "other").await.unwrap(), None);
        assert_eq!(campaigns::list(store.conn()).await.unwrap(), [first, changed]);
    });
}

#[test]
fn a_key_is_known_by_its_hash_and_revoked_once() {
    each_database(async |store| {
        let key = |number: u8, role| KeyRow {
            id: KeyId::new(i64::from(number), 0),
            name: "ops".to_owned(),
            role,
            secret_hash: [number; 32],
            created_at: now(),
            revoked_at: None,
        };
        let (admin, viewer) = (key(1, Role::Admin), key(2, Role::Viewer));
        keys::insert(store.conn(), &admin).await.unwrap();
        keys::insert(store.conn(), &viewer).await.unwrap();
        let twice = keys::insert(store.conn(), &admin).await;
        assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
        assert!(keys::revoke(store.conn(), &admin.id, in_secs(1)).await.unwrap());
        assert!(!keys::revoke(store.conn(), &admin.id, in_secs(2)).await.unwrap());

        let revoked = KeyRow {
            revoked_at: Some(in_secs(1)),
            ..admin
        };
        assert_eq!(
            keys::find(store.conn(), &revoked.id).await.unwrap(),
            Some(revoked.clone())
        );
        assert_eq!(keys::list(store.conn()).await.unwrap(), [revoked, viewer]);
        assert_eq!(keys::find(store.conn(), &KeyId::new(9, 0)).await.unwrap(), None);
    });
}

#[test]
fn a_request_is_carried_out_once_and_answered_alike() {
    each_database(async |store| {
        let key = KeyId::new(1, 0);
        let begin = async |idem_key: &str, hash: u8, at| {
            let hash = [hash; 32];
            idempotency::begin(&store, &key, idem_key, "POST /v1/x", &hash, at)
                .await
                .unwrap()
        };
        assert_eq!(begin("one", 1, now()).await, Begun::Fresh);
        assert_eq!(begin("one", 1, now()).await, Begun::InFlight);
        assert_eq!(begin("one", 2, now()).await, Begun::Mismatch);
        assert_eq!(begin("two", 1, in_secs(60)).await, Begun::Fresh);

        idempotency::finish(&store, &key, "one", 201, b"{}").await.unwrap();
        let replay = Begun::Replay {
            status: 201,
            body: b"{}".to_vec(),
        };
        assert_eq!(begin("one", 1, now()).await, replay);
        assert_eq!(begin("one", 2, now()).await, Begun::Mismatch);
        let hash = [1; 32];
        let elsewhere = idempotency::begin(&store, &key, "one", "POST /v1/y", &hash, now())
            .await
            .unwrap();
        assert_eq!(elsewhere, Begun::Mismatch);
        let another = idempotency::begin(&store, &KeyId::new(2, 0), "one", "POST /v1/x", &hash, now())
            .await
            .unwrap();
        assert_eq!(another, Begun::Fresh);

        idempotency::abandon(&store, &key, "two").await.unwrap();
        assert_eq!(begin("two", 3, in_secs(60)).await, Begun::Fresh);
        idempotency::abandon(&store, &key, "one").await.unwrap();
        assert_eq!(begin("one", 1, now()).await, replay, "an answer is not abandoned");

        assert_eq!(idempotency::purge(&store, in_secs(60)).await.unwrap(), 2);
        assert_eq!(begin("one", 2, in_secs(99)).await, Begun::Fresh);
        assert_eq!(begin("two", 3, in_secs(99)).await, Begun::InFlight);
    });
}

#[test]
fn twenty_of_the_same_request_at_once_are_one() {
    each_database(async |store| {
        let senders = (0..20).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = KeyId::new(1, 0);
                idempotency::begin(&store, &key, "one", "POST /v1/x", &[1; 32], now())
                    .await
                    .unwrap()
            })
        });
        let mut fresh = 0;
        for sender in senders.collect::<Vec<_>>() {
            fresh += i32::from(sender.await.unwrap() == Begun::Fresh);
        }
        assert_eq!(fresh, 1);
    });
}

#[test]
fn a_setting_is_the_last_value_set() {
    each_database(async |store| {
        assert_eq!(settings::get(store.conn(), "sweep").await.unwrap(), None);
        for value in ["1", "2"] {
            settings::set(store.conn(), "sweep", value).await.unwrap();
        }
        assert_eq!(
            settings::get(store.conn(), "sweep").await.unwrap().as_deref(),
            Some("2")
        );
    });
}

#[test]
fn a_setting_is_swapped_only_for_the_value_that_was_read() {
    each_database(async |store| {
        let swap =
            async |read: Option<&str>, value: &str| settings::swap(store.conn(), "beat", read, value).await.unwrap();
        assert!(!swap(Some("0"), "1").await, "there is none yet");
        assert!(swap(None, "1").await);
        assert!(!swap(None, "2").await, "somebody was first");
        assert!(swap(Some("1"), "2").await);
        assert!(!swap(Some("1"), "3").await, "somebody wrote meanwhile");
        let kept = settings::get(store.conn(), "beat").await.unwrap();
        assert_eq!(kept.as_deref(), Some("2"));
    });
}
