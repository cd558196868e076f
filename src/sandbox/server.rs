//! The HTTP server: keys, faults and idempotency around the pure endpoints.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use jiff::{SignedDuration, Timestamp};

use super::api::{self, Answer, Call};
use super::faults::{Fault, Faults};
use super::pages;
use super::world::World;
use crate::clock::Clock;

/// The secret key that the sandbox accepts.
pub const API_KEY: &str = "sk_test_sandbox";

/// How long an idempotency key is remembered.
const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// The longest request body that is read, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Everything behind the one lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) faults: Faults,
    keys: BTreeMap<String, Saved>,
    /// Calls that are to be carried out later, the next one first.
    late: Vec<(Timestamp, Call)>,
}

/// The first call with a key, and its answer once there is one.
#[derive(Debug)]
struct Saved {
    call: Call,
    at: Timestamp,
    answer: Option<Answer>,
}

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(clock: Clock, world: World) -> Self {
        let state = State {
            world,
            faults: Faults::default(),
            keys: BTreeMap::new(),
            late: Vec::new(),
        };
        Self {
            clock,
            state: Mutex::new(state),
        }
    }

    /// The state, brought up to the clock's now.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        while state.late.first().is_some_and(|(at, _)| *at <= now) {
            let (at, call) = state.late.remove(0);
            state.world.advance(at);
            state.execute(&call, None);
        }
        state.world.advance(now);
        state
    }
}

/// What is to be done with a request before its endpoint is reached.
enum Gate {
    /// Answer at once; the flag says that it is a replay.
    Answer(Answer, bool),
    /// 429.
    TooMany(u64),
    /// Cut the line.
    Cut,
    /// Carry it out, with this fault on the way.
    Pass(Option<Fault>),
}

impl State {
    /// The next instant at which something happens by itself, a late call included.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let late = self.late.first().map(|(at, _)| *at);
        self.world.next_due().into_iter().chain(late).min()
    }

    fn gate(&mut self, call: &Call, authorized: bool) -> Gate {
        let now = self.world.now();
        self.faults.counted("requests");
        if call.path.ends_with("/pay") {
            self.faults.counted("charges");
        }
        let fault = self.faults.pick(&call.path, now);
        match fault {
            Some(Fault::Unavailable) => {
                return Gate::Answer(Answer::error(503, "api_error", None, "The sandbox is down."), false);
            }
            Some(Fault::Refuse) => return Gate::Cut,
            _ if !authorized => {
                self.faults.counted("unauthorized");
                let refusal = Answer::error(401, "invalid_request_error", None, "Invalid API Key provided.");
                return Gate::Answer(refusal, false);
            }
            Some(Fault::TooMany(secs)) => return Gate::TooMany(secs),
            _ => {}
        }
        if let Some(key) = call.key.as_ref().filter(|_| call.method == "POST") {
            self.keys.retain(|_, saved| now.duration_since(saved.at) < KEY_LIFETIME);
            if let Some(saved) = self.keys.get(key) {
                if let (true, Some(_)) = (saved.call == *call, &saved.answer) {
                    self.faults.counted("replays");
                }
                return known_key(key, saved, call);
            }
            self.keys.insert(
                key.clone(),
                Saved {
                    call: call.clone(),
                    at: now,
                    answer: None,
                },
            );
        }
        if let Some(Fault::Late(wait)) = fault {
            self.late.push((now + wait, call.clone()));
            self.late.sort_by_key(|(at, _)| *at);
            return Gate::Cut;
        }
        Gate::Pass(fault)
    }

    fn execute(&mut self, call: &Call, fault: Option<Fault>) -> Answer {
        let nonsense = || Answer::error(500, "api_error", None, "An unknown error occurred");
        let answer = match fault {
            Some(Fault::Error) => nonsense(),
            Some(Fault::ErrorAfter) => {
                api::answer(&mut self.world, call);
                nonsense()
            }
            _ => api::answer(&mut self.world, call),
        };
        let key = call.key.as_ref().filter(|_| call.method == "POST");
        if let Some(saved) = key.and_then(|key| self.keys.get_mut(key)) {
            saved.answer = Some(answer.clone());
        }
        answer
    }
}

fn known_key(key: &str, saved: &Saved, call: &Call) -> Gate {
    if saved.call != *call {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a \
             key other than '{key}' if you meant to execute a different request."
        );
        return Gate::Answer(Answer::error(400, "idempotency_error", None, &message), false);
    }
    if let Some(answer) = &saved.answer {
        return Gate::Answer(answer.clone(), true);
    }
    let message = "There is currently another in-progress request using this idempotency key.";
    Gate::Answer(
        Answer::error(409, "invalid_request_error", Some("idempotency_key_in_use"), message),
        false,
    )
}

/// Starts to serve on `listen`; gives the bound address and the handle that stops the server.
pub(super) fn start(shared: Arc<Shared>, listen: SocketAddr) -> std::io::Result<(SocketAddr, ServerHandle)> {
    let listener = TcpListener::bind(listen)?;
    let address = listener.local_addr()?;
    let shared = web::Data::from(shared);
    let app = move || {
        App::new()
            .app_data(shared.clone())
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .configure(pages::routes)
            .route("/v1/{tail:.*}", web::route().to(serve))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .on_connect(|connection, data| {
            let stream = connection.downcast_ref::<actix_web::rt::net::TcpStream>();
            if let Some(Ok(copy)) = stream.map(|stream| stream.as_fd().try_clone_to_owned()) {
                data.insert(Line(TcpStream::from(copy)));
            }
        })
        .shutdown_timeout(1)
        .listen(listener)?
        .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok((address, handle))
}

/// A second handle on the connection, with which a handler can cut it.
struct Line(TcpStream);

fn cut(request: &HttpRequest) -> HttpResponse {
    if let Some(Line(stream)) = request.conn_data::<Line>() {
        // A line that is already down needs no cutting.
        let _ = stream.shutdown(Shutdown::Both);
    }
    HttpResponse::ServiceUnavailable().force_close().finish()
}

async fn serve(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let source = if request.method() == "POST" {
        &body[..]
    } else {
        request.query_string().as_bytes()
    };
    let call = Call {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        params: url::form_urlencoded::parse(source).into_owned().collect(),
        key: header("Idempotency-Key").map(str::to_owned),
    };
    let authorized = header("Authorization").and_then(|value| value.strip_prefix("Bearer ")) == Some(API_KEY);
    let gate = shared.state().gate(&call, authorized);
    let fault = match gate {
        Gate::Answer(answer, replayed) => return respond(&answer, &call, replayed),
        Gate::Cut => return cut(&request),
        Gate::TooMany(secs) => return too_many(secs),
        Gate::Pass(fault) => fault,
    };
    let answer = match fault {
        Some(Fault::Slow(wait)) => execute_slowly(shared.clone().into_inner(), call.clone(), wait).await,
        _ => shared.state().execute(&call, fault),
    };
    if fault == Some(Fault::CutAnswer) {
        return cut(&request);
    }
    respond(&answer, &call, false)
}

/// Carries the call out after a wait, also where the caller has hung up meanwhile.
async fn execute_slowly(shared: Arc<Shared>, call: Call, wait: std::time::Duration) -> Answer {
    let work = async move {
        tokio::time::sleep(wait).await;
        shared.state().execute(&call, None)
    };
    let done = actix_web::rt::spawn(work).await;
    done.unwrap_or_else(|_| Answer::error(500, "api_error", None, "The sandbox is stopping."))
}

fn respond(answer: &Answer, call: &Call, replayed: bool) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(answer.status).expect("the endpoints give valid statuses");
    let mut response = HttpResponse::build(status);
    if let Some(key) = &call.key {
        response.insert_header(("Idempotency-Key", key.as_str()));
    }
    if replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    response.json(&answer.body)
}

fn too_many(secs: u64) -> HttpResponse {
    let answer = Answer::error(
        429,
        "invalid_request_error",
        Some("rate_limit"),
        "Request rate limit exceeded.",
    );
    HttpResponse::TooManyRequests()
        .insert_header(("Retry-After", secs.to_string()))
        .json(&answer.body)
}
