use lettre::message::MultiPart;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use recoup::sandbox::{Habits, Mailbox, NewCustomer, Shape};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Stage;

async fn send(mailbox: &Mailbox, to: &str, subject: &str, text: &str) {
    let message = Message::builder()
        .from("Billing <billing@shop.example>".parse().unwrap())
        .to(to.parse().unwrap())
        .subject(subject)
        .multipart(MultiPart::alternative_plain_html(
            text.to_owned(),
            format!("<p>{text}</p>"),
        ))
        .unwrap();
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(mailbox.addr.port())
        .build();
    transport.send(message).await.unwrap();
}

#[tokio::test]
async fn a_mail_arrives_whole() {
    let mailbox = Mailbox::start().await.unwrap();
    let text = "Grüße,\r\n.\r\n..zwei Punkte\r\nhttp://127.0.0.1:1/i/in_1";
    send(
        &mailbox,
        "Änne <aenne@customers.example>",
        "Ihre Zahlung über 19,99 €",
        text,
    )
    .await;
    let letters = mailbox.messages();
    let letter = &letters[0];
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letter.from.as_str(), letter.to.as_str()),
        ("billing@shop.example", "aenne@customers.example")
    );
    assert_eq!(letter.envelope_to, ["aenne@customers.example"]);
    assert_eq!(letter.subject, "Ihre Zahlung über 19,99 €");
    assert_eq!(letter.text.replace("\r\n", "\n"), text.replace("\r\n", "\n"));
    assert!(letter.html.starts_with("<p>Grüße"));
    assert_eq!(letter.links(), ["http://127.0.0.1:1/i/in_1"]);
    assert!(
        !format!("{letter:?}").contains("aenne"),
        "an address is never printed by accident"
    );
}

#[tokio::test]
async fn the_conversation_keeps_its_order_and_its_size() {
    let mailbox = Mailbox::start().await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(mailbox.addr).await.unwrap();
    let big = format!("{}\r\n", "x".repeat(998)).repeat(1200);
    let script = format!(
        "HELO me\r\nRCPT TO:<a@x.example>\r\nMAIL FROM:<>\r\nDATA\r\nRCPT TO:<a@x.example>\r\nRSET\r\nNOOP\r\nVRFY a\r\n\
         MAIL FROM:<b@x.example>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n{big}.\r\nQUIT\r\n"
    );
    stream.write_all(script.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    let codes: Vec<&str> = answers.lines().map(|line| &line[..3]).collect();
    let expected = [
        "220", "250", "503", "250", "503", "250", "250", "250", "502", "250", "250", "354", "552", "221",
    ];
    assert_eq!(codes, expected);
    assert!(mailbox.messages().is_empty());
}

#[tokio::test]
async fn many_connections_are_served_at_once() {
    let mailbox = Mailbox::start().await.unwrap();
    let senders = (0..40).map(|n| {
        let mailbox = mailbox.clone();
        tokio::spawn(async move { send(&mailbox, &format!("c{n}@customers.example"), "Hello", "Text").await })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    assert_eq!(mailbox.messages().len(), 40);
}

#[tokio::test]
async fn a_customer_reads_gives_a_new_card_and_the_invoice_can_be_paid() {
    let stage = Stage::new(Shape::New).await;
    let mailbox = Mailbox::start().await.unwrap();
    let keen = Habits {
        reads: 1.0,
        delay_hours: 3.0,
        mends: 1.0,
        cancels: 0.0,
    };
    let (customer, invoice) = stage.sandbox.world(|world| {
        let new = NewCustomer {
            name: "Keen Reader".into(),
            email: "keen@customers.example".into(),
            locale: "en".into(),
            country: "GB".into(),
            zone: Some("Europe/London".into()),
            habits: keen,
        };
        let customer = world.add_customer(new);
        let lost = recoup::sandbox::Standing::Lost;
        world.add_card(
            &customer,
            recoup::sandbox::NewCard {
                standing: lost,
                ..Default::default()
            },
        );
        let renews_at = world.now();
        let subscription = world
            .add_subscription(&customer, "Solo plan", super::eur(900), renews_at)
            .unwrap();
        world.advance(renews_at);
        (
            customer,
            world
                .subscription(&subscription)
                .unwrap()
                .latest_invoice
                .clone()
                .unwrap(),
        )
    });
    assert_eq!(stage.sandbox.books().failed_first(), [invoice.as_str()]);
    send(
        &mailbox,
        "keen@customers.example",
        "Your card",
        "Please give us a new card",
    )
    .await;
    send(
        &mailbox,
        "nobody@customers.example",
        "Your card",
        "Please give us a new card",
    )
    .await;
    assert_eq!(stage.sandbox.read_mail(&mailbox).await, 1);
    assert_eq!(stage.sandbox.read_mail(&mailbox).await, 0, "each message is read once");
    stage.pass(14 * 24);
    let kinds: Vec<&str> = stage
        .sandbox
        .world(|world| world.events().iter().map(|event| event.kind).collect());
    assert!(kinds.contains(&"payment_method.attached"));
    let (_, _, body) = stage.get(&format!("/v1/customers/{customer}")).await;
    assert_eq!(body["metadata"]["timezone"], "Europe/London");
    stage.pay(&invoice, "k1").await;
    assert_eq!(stage.sandbox.books().successes(&invoice), 1);
}
