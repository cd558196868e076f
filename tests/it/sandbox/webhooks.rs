use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use hmac::{Hmac, KeyInit, Mac};
use recoup::sandbox::{Delivered, Delivery, Shape};
use serde_json::Value;
use sha2::Sha256;

use super::Stage;

/// What an endpoint was sent: signature and body; it answers with the status set.
#[derive(Default)]
struct Endpoint {
    status: Mutex<u16>,
    posts: Mutex<Vec<(String, String)>>,
}

impl Endpoint {
    fn start() -> (Arc<Self>, String) {
        let endpoint = Arc::new(Self {
            status: Mutex::new(200),
            posts: Mutex::default(),
        });
        let data = web::Data::from(Arc::clone(&endpoint));
        let app = move || App::new().app_data(data.clone()).route("/hook", web::post().to(take));
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
        let url = format!("http://{}/hook", server.addrs()[0]);
        tokio::spawn(server.run());
        (endpoint, url)
    }

    fn ids(&self) -> Vec<String> {
        let posts = self.posts.lock().unwrap();
        let id = |body: &str| {
            serde_json::from_str::<Value>(body).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        posts.iter().map(|(_, body)| id(body)).collect()
    }
}

async fn take(request: HttpRequest, body: String, endpoint: web::Data<Endpoint>) -> HttpResponse {
    let signature = request
        .headers()
        .get("Stripe-Signature")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    endpoint.posts.lock().unwrap().push((signature, body));
    let status = *endpoint.status.lock().unwrap();
    HttpResponse::build(status.try_into().unwrap()).finish()
}

#[tokio::test]
async fn events_are_signed_with_the_worlds_time_and_the_whole_secret() {
    let stage = Stage::new(Shape::New).await;
    let (endpoint, url) = Endpoint::start();
    stage.open("do_not_honor");
    assert_eq!(
        stage.sandbox.deliver_webhooks().await,
        Delivered {
            pending: 6,
            ..Delivered::default()
        }
    );
    stage.sandbox.send_webhooks_to(url).await.unwrap();
    assert_eq!(
        stage.sandbox.deliver_webhooks().await,
        Delivered {
            taken: 6,
            refused: 0,
            pending: 0
        }
    );
    let posts = endpoint.posts.lock().unwrap();
    for (signature, body) in posts.iter() {
        let (t, v1) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        assert_eq!(t.parse::<i64>().unwrap(), stage.clock.now().as_second());
        let mut mac = Hmac::<Sha256>::new_from_slice(b"whsec_stage").unwrap();
        mac.update(format!("{t}.{body}").as_bytes());
        mac.verify_slice(&hex::decode(v1).unwrap()).unwrap();
    }
}

#[tokio::test]
async fn refused_events_wait_and_taken_ones_can_be_sent_again() {
    let stage = Stage::new(Shape::New).await;
    let (endpoint, url) = Endpoint::start();
    stage.sandbox.send_webhooks_to(url).await.unwrap();
    stage.open("do_not_honor");
    *endpoint.status.lock().unwrap() = 503;
    assert_eq!(
        stage.sandbox.deliver_webhooks().await,
        Delivered {
            taken: 0,
            refused: 6,
            pending: 6
        }
    );
    *endpoint.status.lock().unwrap() = 200;
    assert_eq!(
        stage.sandbox.deliver_webhooks().await,
        Delivered {
            taken: 6,
            refused: 0,
            pending: 0
        }
    );
    let first = endpoint.ids()[0].clone();
    assert!(stage.sandbox.send_again(&first) && !stage.sandbox.send_again("evt_none"));
    assert_eq!(stage.sandbox.pending_webhooks(), 1);
    assert_eq!(
        (stage.sandbox.lose_webhooks(), stage.sandbox.pending_webhooks()),
        (1, 0)
    );
    stage.sandbox.subscribe_webhooks(&["invoice.payment_failed"]);
    stage.open("do_not_honor");
    assert_eq!(stage.sandbox.pending_webhooks(), 1);
}

#[tokio::test]
async fn a_delivery_can_be_doubled_and_shuffled() {
    let stage = Stage::new(Shape::New).await;
    let (endpoint, url) = Endpoint::start();
    stage.sandbox.send_webhooks_to(url).await.unwrap();
    for _ in 0..4 {
        stage.open("do_not_honor");
    }
    let delivered = stage
        .sandbox
        .deliver_webhooks_as(Delivery {
            duplicate: true,
            shuffle: true,
        })
        .await;
    let ids = endpoint.ids();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((delivered.taken, delivered.pending), (ids.len(), 0));
    assert_eq!(ids.len(), 2 * distinct.len());
    assert!(!ids.is_sorted(), "ids count upwards; in order they would be sorted");
}
