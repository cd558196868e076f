//! Cases come back as they went in, are found by every name, and old documents still decode.

use recoup::domain::case::{Case, State};
use recoup::domain::decline::DeclineKind;
use recoup::domain::outcome::{Outcome, RecoveredBy, Status};
use recoup::store::cases::{self, CaseFilter};
use recoup::store::{Store, StoreError};
use sea_orm::{ConnectionTrait, Statement};

use super::samples::{bare, case, case_id, ended, every_state, in_secs, now, open, save};
use crate::support::databases::each_database;

/// What the column `memory` held for each of `every_state()` when the shape was first written. Frozen.
const DOCUMENTS: &str = include_str!("../../fixtures/store/case-memory-1.json");

#[test]
fn a_case_in_every_state_comes_back_as_it_went_in() {
    each_database(async |store| {
        for case in every_state() {
            open(&store, &case).await.unwrap();
            let tx = store.begin().await.unwrap();
            assert_eq!(cases::lock(&tx, &case.id).await.unwrap().as_ref(), Some(&case));
            save(&tx, &case, in_secs(1)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(cases::find(store.conn(), &case.id).await.unwrap(), Some(case));
        }
        assert_eq!(cases::find(store.conn(), &case_id(99)).await.unwrap(), None);
        let tx = store.begin().await.unwrap();
        assert_eq!(cases::lock(&tx, &case_id(99)).await.unwrap(), None);
        save(&tx, &case(99), now()).await.unwrap_err();
    });
}

#[test]
fn texts_of_every_kind_come_back_as_they_went_in_and_beside_what_is_missing() {
    let texts = [
        "",
        " ",
        "NULL",
        "null",
        "{}",
        "{a,b}",
        "\"",
        "\\",
        "\\\"",
        "'; --",
        "a\nb\tc",
        "\u{1}",
        "Löwe, Ada",
        "𝄞",
        "[1,2]",
    ];
    each_database(async |store| {
        let named = |number: u32, name: Option<&str>| {
            let mut case = case(number);
            case.contact.name = name.map(str::to_owned);
            case.memory.description = name.map(str::to_owned);
            case.subscription_id = None;
            case
        };
        let mut all: Vec<Case> = (1..)
            .zip(texts)
            .map(|(number, text)| named(number, Some(text)))
            .collect();
        all.push(named(50, None));
        let changes: Vec<_> = all.iter().map(|case| bare(case, now())).collect();
        let tx = store.begin().await.unwrap();
        let opened = cases::insert(&tx, &changes.iter().collect::<Vec<_>>()).await.unwrap();
        assert_eq!(opened.len(), all.len());
        cases::save(&tx, &changes.iter().collect::<Vec<_>>()).await.unwrap();
        tx.commit().await.unwrap();
        for case in all {
            assert_eq!(cases::find(store.conn(), &case.id).await.unwrap(), Some(case));
        }
    });
}

#[test]
fn documents_of_the_first_shape_still_decode() {
    let documents: Vec<serde_json::Value> = serde_json::from_str(DOCUMENTS).unwrap();
    assert_eq!(documents.len(), every_state().len());
    each_database(async |store| {
        for (mut case, document) in every_state().into_iter().zip(&documents) {
            if let State::Processing { charge_id, .. } = &mut case.state {
                // It kept no name of a slow charge yet.
                *charge_id = None;
            }
            open(&store, &case).await.unwrap();
            set_memory(&store, &case, &document.to_string()).await;
            assert_eq!(cases::find(store.conn(), &case.id).await.unwrap(), Some(case));
        }
    });
}

#[test]
fn a_row_that_does_not_decode_is_an_error_that_names_it() {
    each_database(async |store| {
        let bad = case(1);
        open(&store, &bad).await.unwrap();
        let documents: Vec<serde_json::Value> = serde_json::from_str(DOCUMENTS).unwrap();
        let of_another_state = documents[1].to_string();
        for memory in ["{}", "", &of_another_state] {
            set_memory(&store, &bad, memory).await;
            let error = cases::find(store.conn(), &bad.id).await.unwrap_err();
            let StoreError::Corrupt { table, id, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!((*table, id.as_str()), ("cases", bad.id.as_str()));
            assert!(!error.is_transient());
        }
    });
}

#[test]
fn a_case_is_found_by_invoice_customer_and_subscription() {
    each_database(async |store| {
        let outcome = Outcome::Recovered { by: RecoveredBy::Retry };
        let mut cases = [ended(1, outcome), ended(3, outcome), case(2), case(4), case(6)];
        for (case, goes_back_to) in cases[..3].iter_mut().zip([None, Some(case_id(1)), Some(case_id(1))]) {
            case.invoice_id = "in_2".to_owned();
            case.reversal_of = goes_back_to;
        }
        for case in &cases {
            open(&store, case).await.unwrap();
        }
        let of =
            async |connection: &str, invoice: &str| cases::by_invoice(store.conn(), connection, invoice).await.unwrap();
        assert_eq!(of("stripe", "in_2").await, Some(case_id(1)), "never that of a reversal");
        assert_eq!(of("stripe", "in_9").await, None);
        assert_eq!(of("other", "in_2").await, None);

        let of_customer = cases::open_by_customer(store.conn(), "stripe", "cus_0").await.unwrap();
        assert_eq!(of_customer, [case_id(2), case_id(4), case_id(6)]);
        assert_eq!(
            cases::open_by_customer(store.conn(), "stripe", "cus_1").await.unwrap(),
            []
        );
        let of_subscription = cases::open_by_subscription(store.conn(), "stripe", "sub_0")
            .await
            .unwrap();
        assert_eq!(of_subscription, of_customer);

        let counts = cases::count_by_status(store.conn()).await.unwrap();
        assert_eq!(counts, [(Status::Open, 3), (Status::Recovered, 2)]);
    });
}

/// Somebody reads the unpaid invoice and falls asleep; meanwhile its case is opened, recovered and closed.
#[test]
fn whoever_read_an_invoice_long_ago_opens_no_second_case_for_it() {
    each_database(async |store| {
        let recovered = ended(1, Outcome::Recovered { by: RecoveredBy::Retry });
        assert!(open(&store, &recovered).await.unwrap());
        let late = Case {
            invoice_id: "in_1".to_owned(),
            ..case(2)
        };
        assert!(!open(&store, &late).await.unwrap());
        let reversal = Case {
            invoice_id: "in_1".to_owned(),
            reversal_of: Some(recovered.id),
            ..case(3)
        };
        assert!(open(&store, &reversal).await.unwrap());
    });
}

#[test]
fn a_list_is_read_in_pages_newest_first() {
    each_database(async |store| {
        let mut ids = Vec::new();
        for number in 1..=7 {
            let mut case = case(number);
            if number == 3 {
                case.decline.kind = DeclineKind::Expired;
            }
            open(&store, &case).await.unwrap();
            ids.insert(0, case.id);
        }
        let list = async |filter: CaseFilter| -> Vec<_> {
            let found = cases::list(store.conn(), &filter).await.unwrap();
            found.into_iter().map(|case| case.id).collect()
        };
        let mut read = Vec::new();
        let mut pages = 0;
        loop {
            let cursor = read.last().cloned();
            let page = list(CaseFilter {
                cursor,
                limit: 3,
                ..CaseFilter::default()
            })
            .await;
            if page.is_empty() {
                break;
            }
            pages += 1;
            read.extend(page);
        }
        assert_eq!((read, pages), (ids, 3));

        let all = || CaseFilter {
            limit: 200,
            ..CaseFilter::default()
        };
        let odd = CaseFilter {
            customer_id: Some("cus_1".to_owned()),
            ..all()
        };
        assert_eq!(list(odd).await, [7, 5, 3, 1].map(case_id));
        let expired = CaseFilter {
            decline_kind: Some(DeclineKind::Expired),
            ..all()
        };
        assert_eq!(list(expired).await, [case_id(3)]);
        let invoice = CaseFilter {
            invoice_id: Some("in_5".to_owned()),
            connection: Some("stripe".to_owned()),
            ..all()
        };
        assert_eq!(list(invoice).await, [case_id(5)]);
        let closed = CaseFilter {
            status: Some(Status::Recovered),
            ..all()
        };
        assert_eq!(list(closed).await, []);
    });
}

async fn set_memory(store: &Store, case: &Case, memory: &str) {
    let sql = "UPDATE cases SET memory = $2 WHERE id = $1";
    let values = [case.id.as_str().into(), memory.into()];
    let statement = Statement::from_sql_and_values(store.conn().get_database_backend(), sql, values);
    store.conn().execute_raw(statement).await.unwrap();
}
