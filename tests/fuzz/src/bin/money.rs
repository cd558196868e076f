//! Money: what is written is read back to the same minor units, and a sum is right or missing.
//!
//! The first 16 bytes are two amounts; what follows is the text of a currency.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recoup::domain::money::{Currency, Money};
use recoup::mailer::Locale;
use recoup_fuzz::parts::{choices, number, text};
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    if let Ok(money) = serde_json::from_slice::<Money>(input) {
        let mut value: Value = serde_json::from_slice(input).unwrap();
        // The values in the order of the fields are taken for them.
        if let Value::Array(values) = value {
            value = ["amount_minor", "currency"].into_iter().zip(values).collect();
        }
        assert_eq!(value["amount_minor"].as_i64(), Some(money.amount_minor));
        assert_eq!(
            value["currency"].as_str().unwrap().to_uppercase(),
            money.currency.code()
        );
    }
    let (amounts, code) = choices::<16>(input);
    let code = text(code);
    let letters = code.chars().count() == 3 && code.chars().all(|letter| letter.is_ascii_alphabetic());
    let currency = code.parse::<Currency>();
    assert_eq!(currency.is_ok(), letters, "{code:?}");
    let Ok(currency) = currency else { return };
    assert_eq!(currency.code(), code.to_uppercase());
    let money = |at| Money::new(number(&amounts, at), currency);
    let (one, other) = (money(0), money(8));
    sums(one, other);
    for money in [one, other] {
        written(money);
        let json = serde_json::to_string(&money).unwrap();
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }
});

fn sums(one: Money, other: Money) {
    let wide = i128::from(one.amount_minor) + i128::from(other.amount_minor);
    let sum = one.checked_add(other);
    assert_eq!(
        sum.map(|sum| i128::from(sum.amount_minor)),
        i64::try_from(wide).ok().map(i128::from)
    );
    assert!(sum.is_none_or(|sum| sum.currency == one.currency));
    let foreign = Money::new(
        other.amount_minor,
        if one.currency.code() == "EUR" { "JPY" } else { "EUR" }
            .parse()
            .unwrap(),
    );
    assert_eq!(one.checked_add(foreign), None);
}

fn written(money: Money) {
    let decimals = usize::try_from(money.currency.decimals()).unwrap();
    let plain = money.to_string();
    let (number, code) = plain.rsplit_once(' ').unwrap();
    assert_eq!(code, money.currency.code());
    assert_eq!(
        minor(number, '.', None, decimals),
        i128::from(money.amount_minor),
        "{plain}"
    );
    for (locale, decimal, group) in [("en", '.', ','), ("de", ',', '.')] {
        let shown = Locale::pick(Some(locale), None).money(money);
        let number: String = shown
            .chars()
            .filter(|c| c.is_ascii_digit() || "-.,".contains(*c))
            .collect();
        assert_eq!(
            minor(&number, decimal, Some(group), decimals),
            i128::from(money.amount_minor),
            "{shown}"
        );
        let sign = shown.matches('-').count();
        assert_eq!(sign, usize::from(money.amount_minor < 0), "{shown}");
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
}

/// The minor units that a number tells of. The decimals are complete, and groups have three digits.
fn minor(number: &str, decimal: char, group: Option<char>, decimals: usize) -> i128 {
    let (sign, digits) = number.strip_prefix('-').map_or((1, number), |digits| (-1, digits));
    let (whole, part) = digits.split_once(decimal).unwrap_or((digits, ""));
    assert_eq!(part.len(), decimals, "{number}");
    let groups: Vec<&str> = match group {
        Some(group) => whole.split(group).collect(),
        None => vec![whole],
    };
    let (first, others) = groups.split_first().unwrap();
    assert!(!first.is_empty() && (group.is_none() || first.len() <= 3), "{number}");
    assert!(others.iter().all(|digits| digits.len() == 3), "{number}");
    assert!(first.len() == 1 || !first.starts_with('0'), "{number}");
    sign * (groups.concat() + part).parse::<i128>().unwrap()
}
