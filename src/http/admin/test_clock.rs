//! `/v1/test-clock`: time on demand, for tests of a whole installation. Outside of test mode the routes do not exist.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::AdvanceError;
use crate::http::HttpState;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::wire::{self, Instant};

/// The latest instant that the clock may be sent to, in seconds: the end of the year 9000.
const LATEST_SECS: i64 = 221_876_755_199;

/// Where the test clock stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TestClock {
    /// Its time.
    pub now: Instant,
}

/// What an advance did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AdvanceDone {
    /// The time now: what was asked for.
    pub now: Instant,
    /// How many ticks the engine needed.
    pub ticks: u64,
}

/// Where to move the clock.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdvanceBody {
    /// The new time; it may equal the present one, never lie before it.
    #[schema(format = DateTime)]
    pub to: String,
}

/// Shows the test clock.
#[utoipa::path(tag = "test clock", responses((status = 200, description = "Its time.", body = TestClock)))]
#[get("/v1/test-clock")]
pub(super) async fn get(state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    check_mode(&state)?;
    let now = Instant(state.engine.clock().now());
    Ok(HttpResponse::Ok().json(TestClock { now }))
}

/// Moves the test clock forward and does all work that is due up to then, in order, calls and mails included.
#[utoipa::path(tag = "test clock", request_body = AdvanceBody, responses((status = 200, description = "All work due up to then is done.", body = AdvanceDone)))]
#[post("/v1/test-clock/advance")]
pub(super) async fn advance(state: web::Data<HttpState>, body: JsonBody<AdvanceBody>) -> Result<HttpResponse, Problem> {
    check_mode(&state)?;
    let to = wire::instant("to", &body.0.to)?;
    if to.as_second() > LATEST_SECS || to < Timestamp::UNIX_EPOCH {
        return Err(unprocessable(
            "bad_field",
            "to must lie between the years 1970 and 9000".to_owned(),
        ));
    }
    match state.engine.advance(to).await {
        Ok(done) => Ok(HttpResponse::Ok().json(AdvanceDone {
            now: Instant(done.now),
            ticks: done.ticks,
        })),
        Err(AdvanceError::Backwards(backwards)) => Err(unprocessable("clock_backwards", backwards.to_string())),
        Err(AdvanceError::NotTestClock) => Err(not_there()),
        Err(AdvanceError::Store(error)) => Err(error.into()),
    }
}

fn check_mode(state: &HttpState) -> Result<(), Problem> {
    if state.engine.clock().is_test() {
        Ok(())
    } else {
        Err(not_there())
    }
}

fn not_there() -> Problem {
    Problem::not_found("there is no test clock: clock.mode is not test")
}

fn unprocessable(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}
