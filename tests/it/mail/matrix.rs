//! Every dialogue with a relay, broken at every step in every way. The relay's own book judges.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::StreamExt;
use recoup::mailer::{Mailer, SendOutcome};

use super::{email, now};
use crate::support::dialogue::{Book, Dialogue, Fault, Script, Step};

const FROM: &str = "billing@larkspur.example";
/// Only for a relay that stalls: long enough for loopback on a busy machine, short enough to be waited for.
const SHORT: Duration = Duration::from_secs(3);
const FAULTS: [Fault; 4] = [Fault::Drop, Fault::Stall, Fault::Garbage, Fault::Cut];
/// How many dialogues are held at the same time.
const AT_ONCE: usize = 400;
/// How many broken dialogues that makes.
const RUNS: usize = 936;

/// One dialogue: its name, what the relay says, and whether the mail is the second one on its connection.
struct Row {
    name: &'static str,
    says: &'static [(Step, &'static str)],
    second: bool,
    logs_in: bool,
}

const fn row(name: &'static str, says: &'static [(Step, &'static str)]) -> Row {
    Row {
        name,
        says,
        second: false,
        logs_in: false,
    }
}

const fn second(name: &'static str, says: &'static [(Step, &'static str)]) -> Row {
    Row {
        second: true,
        ..row(name, says)
    }
}

const fn login(name: &'static str, says: &'static [(Step, &'static str)]) -> Row {
    Row {
        logs_in: true,
        ..row(name, says)
    }
}

const LOGIN_ONLY: &str = "250-relay.example\r\n250 AUTH LOGIN";

const ROWS: &[Row] = &[
    row("takes it", &[]),
    row(
        "many lines",
        &[
            (Step::Greeting, "220-a\r\n220-b\r\n220 c"),
            (Step::Dot, "250-taken\r\n250 as 1"),
        ],
    ),
    row(
        "blank features",
        &[(Step::Hello, "250-relay\r\n250-  \r\n250-\r\n250 ")],
    ),
    row("bare codes", &[(Step::Sender, "250"), (Step::Dot, "250")]),
    row("251 forwards", &[(Step::Recipient, "251 will forward")]),
    row("252 will try", &[(Step::Recipient, "252 will try")]),
    row("greets 421", &[(Step::Greeting, "421 too busy")]),
    row("greets 554", &[(Step::Greeting, "554 you are listed")]),
    row("hello 502", &[(Step::Hello, "502 what")]),
    row("hello 354", &[(Step::Hello, "354 what")]),
    row("sender 421", &[(Step::Sender, "421 closing")]),
    row("sender 451", &[(Step::Sender, "451 later")]),
    row("sender 452 too many", &[(Step::Sender, "452 too many mails")]),
    row("sender 550", &[(Step::Sender, "550 5.7.1 not your domain")]),
    row("sender 354", &[(Step::Sender, "354 what")]),
    row("rcpt 421", &[(Step::Recipient, "421 4.7.0 slow")]),
    row("rcpt 450 grey", &[(Step::Recipient, "450 4.2.0 greylisted")]),
    row("rcpt 451 grey", &[(Step::Recipient, "451 4.7.1 come back")]),
    row(
        "rcpt 452 too many",
        &[(Step::Recipient, "452 4.5.3 Too many recipients")],
    ),
    row(
        "rcpt 450 rate",
        &[(Step::Recipient, "450-4.2.1 the user\r\n450 4.2.1 at a Rate limit")],
    ),
    row("rcpt 550", &[(Step::Recipient, "550 no such user")]),
    row("rcpt 550 5.1.1", &[(Step::Recipient, "550 5.1.1 no such user")]),
    row("rcpt 550 5.7.1", &[(Step::Recipient, "550 5.7.1 relaying denied")]),
    row("rcpt 530", &[(Step::Recipient, "530 log in first")]),
    row("rcpt 552 full", &[(Step::Recipient, "552 5.2.2 mailbox full")]),
    row("rcpt 554", &[(Step::Recipient, "554 no")]),
    row("data 421", &[(Step::Data, "421 closing")]),
    row("data 451", &[(Step::Data, "451 4.7.1 greylisted")]),
    row("data 554", &[(Step::Data, "554 no valid recipients")]),
    row("data 250", &[(Step::Data, "250 what")]),
    row("dot 421", &[(Step::Dot, "421 closing")]),
    row("dot 451", &[(Step::Dot, "451 greylisted")]),
    row("dot 452", &[(Step::Dot, "452 disk full")]),
    row("dot 552", &[(Step::Dot, "552 too large")]),
    row("dot 554", &[(Step::Dot, "554 looks like spam")]),
    row("dot 354", &[(Step::Dot, "354 what")]),
    row("dot 199", &[(Step::Dot, "199 what")]),
    row("dot two codes", &[(Step::Dot, "250-taken\r\n451 or not")]),
    row("rcpt twice", &[(Step::Recipient, "250 ok\r\n250 ok")]),
    row("data and dot", &[(Step::Data, "354 go on\r\n250 taken")]),
    login("login plain", &[]),
    login(
        "login login",
        &[
            (Step::Hello, LOGIN_ONLY),
            (Step::Login, "334 VXNlcm5hbWU6"),
            (Step::Login, "334 UGFzc3dvcmQ6"),
        ],
    ),
    login("login 535", &[(Step::Login, "535 5.7.8 wrong")]),
    login("login 454", &[(Step::Login, "454 4.7.0 later")]),
    login("login unknown", &[(Step::Hello, "250-relay\r\n250 AUTH CRAM-MD5")]),
    login("login 334 for ever", &[(Step::Login, "334 more")]),
    second("second", &[]),
    second("second noop 421", &[(Step::Noop, "421 idle")]),
    second("second sender 421", &[(Step::Sender, "421 enough mails on this line")]),
    second(
        "second 421 twice",
        &[(Step::Sender, "421 enough"), (Step::Sender, "421 enough")],
    ),
    second("second sender 452", &[(Step::Sender, "452 later")]),
    second("second rcpt 421", &[(Step::Recipient, "421 closing")]),
    second("second rcpt 550", &[(Step::Recipient, "550 no such user")]),
];

/// How each ends: as it stands, then by step where it is dropped, stalled, answered with garbage, cut short.
/// sent, transient, h: throttled, bad recipient, permanent, unknown.
const TABLE: &str = "
takes it             s | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
many lines           s | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
blank features       s | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
bare codes           s | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
251 forwards         s | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
252 will try         s | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
greets 421           t | Greeting tttt
greets 554           t | Greeting tttt
hello 502            t | Greeting tttt | Hello tttt
hello 354            t | Greeting tttt | Hello tttt
sender 421           t | Greeting tttt | Hello tttt | Sender tttt
sender 451           t | Greeting tttt | Hello tttt | Sender tttt
sender 452 too many  t | Greeting tttt | Hello tttt | Sender tttt
sender 550           t | Greeting tttt | Hello tttt | Sender tttt
sender 354           t | Greeting tttt | Hello tttt | Sender tttt
rcpt 421             h | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 450 grey        t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 451 grey        t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 452 too many    h | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 450 rate        h | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 550             b | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 550 5.1.1       b | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 550 5.7.1       t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 530             t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 552 full        p | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
rcpt 554             p | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
data 421             h | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt
data 451             t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt
data 554             p | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt
data 250             t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt
dot 421              h | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
dot 451              t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
dot 452              t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
dot 552              p | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
dot 554              p | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
dot 354              u | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
dot 199              u | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
dot two codes        u | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
rcpt twice           t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt
data and dot         t | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt
login plain          s | Greeting tttt | Hello tttt | Login tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
login login          s | Greeting tttt | Hello tttt | Login tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
login 535            t | Greeting tttt | Hello tttt | Login tttt
login 454            t | Greeting tttt | Hello tttt | Login tttt
login unknown        t | Greeting tttt | Hello tttt
login 334 for ever   t | Greeting tttt | Hello tttt | Login tttt
second               s | Noop ssss | Sender stss | Recipient tttt | Data tttt | Dot uuuu
second noop 421      s | Noop ssss | Greeting tttt | Hello tttt | Sender tttt | Recipient tttt | Data tttt | Dot uuuu
second sender 421    s | Noop tttt | Sender stss | Greeting tttt | Hello tttt | Recipient tttt | Data tttt | Dot uuuu
second 421 twice     t | Noop tttt | Sender tttt | Greeting tttt | Hello tttt
second sender 452    t | Noop tttt | Sender stss
second rcpt 421      h | Noop hhhh | Sender hthh | Recipient tttt
second rcpt 550      b | Noop bbbb | Sender btbb | Recipient tttt
";

/// Plays one row with one fault and judges it by the relay's book; the letter of the outcome, and the book.
async fn play(row: &Row, fault: Option<(Step, Fault)>) -> (char, Book) {
    let server = Dialogue::start(Script {
        says: row.says.to_vec(),
        fault,
        later: row.second,
        ..Script::default()
    })
    .await;
    let login = if row.logs_in { "user:hunter2@" } else { "" };
    let url = format!("smtp://{login}{}", server.addr).into();
    let mut mailer = Mailer::new(Some(&url), Some(FROM)).unwrap();
    if fault.is_some_and(|(_, fault)| fault == Fault::Stall) {
        mailer = mailer.with_send_timeout(SHORT);
    }
    if row.second {
        assert_eq!(mailer.send(&email("first@example.com"), now()).await, SendOutcome::Sent);
        server.arm();
    }
    let outcome = mailer.send(&email("jo@example.com"), now()).await;
    let book = server.book();
    let what = format!("{}, {fault:?}: {outcome:?}", row.name);
    let taken = book.taken.iter().filter(|mail| mail.to == "jo@example.com").count();
    let letter = match outcome {
        SendOutcome::Sent => 's',
        SendOutcome::Transient(_) => 't',
        SendOutcome::Throttled(_) => 'h',
        SendOutcome::BadRecipient(_) => 'b',
        SendOutcome::Permanent(_) => 'p',
        SendOutcome::Unknown(_) => 'u',
        SendOutcome::Kept => panic!("{what}"),
    };
    assert!(taken <= 1, "{what}: taken {taken} times");
    assert!(
        letter != 's' || taken == 1,
        "{what}: said to be sent, and the relay does not have it"
    );
    assert!(taken == 0 || "su".contains(letter), "{what}: the relay has it");
    assert!(
        letter != 'u' || book.steps.contains(&Step::Dot),
        "{what}: it was never handed over"
    );
    (letter, book)
}

/// The steps of a dialogue that is not broken, in their order.
fn steps(book: Book) -> Vec<Step> {
    let mut steps = Vec::new();
    for step in book.steps {
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

#[tokio::test]
async fn every_dialogue_broken_at_every_step_ends_as_the_table_says() {
    let whole = futures_util::stream::iter(ROWS).map(|row| play(row, None));
    let whole: Vec<(char, Book)> = whole.buffered(AT_ONCE).collect().await;
    let mut lines = Vec::new();
    let mut runs = Vec::new();
    for (number, (row, (letter, book))) in ROWS.iter().zip(whole).enumerate() {
        lines.push(format!("{:<20} {letter}", row.name));
        for step in steps(book) {
            runs.extend(FAULTS.map(|fault| (number, step, fault)));
        }
    }
    let count = runs.len();
    let broken = futures_util::stream::iter(runs).map(async |(number, step, fault)| {
        let (letter, _) = play(&ROWS[number], Some((step, fault))).await;
        (number, step, fault, letter)
    });
    let broken: Vec<(usize, Step, Fault, char)> = broken.buffered(AT_ONCE).collect().await;
    for (number, step, fault, letter) in broken {
        if fault == FAULTS[0] {
            write!(lines[number], " | {step:?} ").unwrap();
        }
        lines[number].push(letter);
    }
    let table = format!("\n{}\n", lines.join("\n"));
    assert_eq!(table, TABLE, "it is:{table}");
    assert_eq!((ROWS.len(), count), (53, RUNS));
}
