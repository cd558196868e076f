//! The provider's own pages, where a customer pays or gives a new card.

use actix_web::{HttpResponse, web};

use super::objects::InvoiceStatus;
use super::server::Shared;
use super::world::NewCard;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/i/{invoice}")
                .route(web::get().to(show_invoice))
                .route(web::post().to(pay_invoice)),
        )
        .service(web::resource("/p/{customer}").route(web::get().to(show_portal)))
        .service(web::resource("/p/{customer}/card").route(web::post().to(new_card)))
        .service(web::resource("/p/{customer}/cancel").route(web::post().to(cancel)));
}

async fn show_invoice(id: web::Path<String>, shared: web::Data<Shared>) -> HttpResponse {
    let state = shared.state();
    let Some(invoice) = state.world.invoice(&id) else {
        return not_found();
    };
    let action = match invoice.status {
        InvoiceStatus::Open | InvoiceStatus::Uncollectible => {
            "<form method=\"post\"><button>Pay with a new card</button></form>".to_owned()
        }
        InvoiceStatus::Paid => "<p class=\"done\">Paid. Thank you!</p>".to_owned(),
        InvoiceStatus::Void => "<p class=\"done\">This invoice was voided. Nothing is due.</p>".to_owned(),
    };
    let body = format!(
        "<p>{}</p><p class=\"sum\">{}</p><p>{}</p>{action}",
        escaped(&invoice.description),
        invoice.amount,
        escaped(&invoice.customer_name),
    );
    page(&format!("Invoice {}", invoice.number), &body)
}

async fn pay_invoice(id: web::Path<String>, shared: web::Data<Shared>) -> HttpResponse {
    shared.state().world.pay_by_customer(&id);
    back_to(&format!("/i/{id}"))
}

async fn show_portal(id: web::Path<String>, shared: web::Data<Shared>) -> HttpResponse {
    let state = shared.state();
    let Some(customer) = state.world.customer(&id) else {
        return not_found();
    };
    let card = customer
        .default_payment_method
        .as_deref()
        .and_then(|id| state.world.card(id));
    let told = card.map_or_else(
        || "No card is on file.".to_owned(),
        |card| {
            format!(
                "{} ending in {}, {:02}/{}",
                card.brand, card.last4, card.exp_month, card.exp_year
            )
        },
    );
    let body = format!(
        "<p>{}</p><p>{told}</p><form method=\"post\" action=\"/p/{id}/card\"><button>Give a new card</button></form>\
         <form method=\"post\" action=\"/p/{id}/cancel\"><button class=\"quiet\">Cancel the subscription</button></form>",
        escaped(&customer.name),
        id = customer.id,
    );
    page("Your billing", &body)
}

async fn new_card(id: web::Path<String>, shared: web::Data<Shared>) -> HttpResponse {
    shared.state().world.attach_card(&id, NewCard::default());
    back_to(&format!("/p/{id}"))
}

async fn cancel(id: web::Path<String>, shared: web::Data<Shared>) -> HttpResponse {
    let mut state = shared.state();
    let of_customer = state
        .world
        .subscriptions()
        .filter(|subscription| subscription.customer == *id);
    let subscriptions: Vec<String> = of_customer.map(|subscription| subscription.id.clone()).collect();
    for subscription in subscriptions {
        state.world.cancel_subscription(&subscription, None);
    }
    back_to(&format!("/p/{id}"))
}

fn back_to(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header(("Location", path)).finish()
}

fn not_found() -> HttpResponse {
    HttpResponse::NotFound().body("There is no such page.")
}

fn page(title: &str, body: &str) -> HttpResponse {
    let style = "body{font:16px/1.5 system-ui,sans-serif;background:#f3f4f6;color:#1f2937;display:grid;place-items:center;\
                 min-height:90vh}main{background:#fff;border-radius:12px;padding:2rem 3rem;box-shadow:0 2px 12px #0001;\
                 text-align:center}.sum{font-size:2.2rem;font-weight:600;margin:.5rem}button{font:inherit;padding:.6rem 1.4rem;\
                 border:0;border-radius:8px;background:#2563eb;color:#fff;cursor:pointer;margin:.3rem}\
                 button.quiet{background:#e5e7eb;color:#1f2937}.done{color:#15803d;font-weight:600}";
    let title = escaped(title);
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{style}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>"
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
