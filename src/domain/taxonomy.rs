//! What the codes of providers and networks mean: data with its sources, in `rules/`. Which of the codes of a decline counts
//! is the adapter's business, for that is a matter of its dialect.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::decline::{Decline, DeclineKind, Disposition};
use super::network::Network;
use super::words::words;

/// The codes of card networks and bank debits, for every provider alike.
pub const NETWORK_CODES: &str = include_str!("rules/codes.json");

words! {
    /// Whose codes a section has.
    CodesOf {
        /// The provider's own.
        Provider = "provider",
        /// The network's response codes; the section has the network's name.
        Network = "network",
        /// Advice, by the provider or by a network.
        Advice = "advice",
    }
}

words! {
    /// How well something is known.
    Grade {
        /// The official text itself.
        Primary = "P",
        /// Somebody's statement of it.
        Secondary = "S",
        /// Nobody checked it.
        Unverified = "M",
    }
}

words! {
    /// What a customer is told about a decline. None of them speaks of fraud, loss or theft: who reads it may be the one who
    /// has the card.
    Wording {
        /// There was not enough money at that moment.
        NotEnoughMoney = "not_enough_money",
        /// A limit was reached.
        LimitReached = "limit_reached",
        /// The bank did not approve it.
        NotApproved = "not_approved",
        /// The bank could not be reached.
        BankAway = "bank_away",
        /// The card expired or changed.
        OutOfDate = "out_of_date",
        /// The bank could not match the details.
        DetailsDiffer = "details_differ",
        /// The security code did not match.
        SecurityCode = "security_code",
        /// The address did not match.
        Address = "address",
        /// There is no payment method.
        NoMethod = "no_method",
        /// Payments of this kind are not allowed.
        NotAllowed = "not_allowed",
        /// The customer must confirm.
        Confirm = "confirm",
        /// The permission to charge ended.
        NoPermission = "no_permission",
        /// The fault is ours.
        OurFault = "our_fault",
    }
}

impl Wording {
    /// What is said of a kind where no code says more.
    pub const fn of(kind: DeclineKind) -> Self {
        match kind {
            DeclineKind::InsufficientFunds => Self::NotEnoughMoney,
            DeclineKind::Limit => Self::LimitReached,
            DeclineKind::DoNotHonor | DeclineKind::LostStolen | DeclineKind::Fraud => Self::NotApproved,
            DeclineKind::IssuerDown => Self::BankAway,
            DeclineKind::Expired => Self::OutOfDate,
            DeclineKind::InvalidAccount => Self::DetailsDiffer,
            DeclineKind::NotPermitted => Self::NotAllowed,
            DeclineKind::AuthenticationRequired => Self::Confirm,
            DeclineKind::Revoked => Self::NoPermission,
            DeclineKind::MerchantConfig => Self::OurFault,
        }
    }
}

/// The codes that one provider speaks, its networks' among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taxonomy {
    /// The sections by name.
    pub sections: BTreeMap<String, Section>,
}

/// A file of codes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The version of its form.
    pub version: u32,
    /// What it holds.
    pub title: String,
    /// Its sections by name.
    pub sections: BTreeMap<String, Section>,
}

/// The codes of one source.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Whose codes they are.
    pub codes_of: CodesOf,
    /// Where they are published.
    pub source: String,
    /// Which edition was read.
    pub edition: String,
    /// How well they are known.
    pub grade: Grade,
    /// The codes.
    pub codes: Vec<Code>,
}

/// What one code means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// The code.
    pub code: String,
    /// Our kind; none where the code leaves it to the others.
    pub kind: Option<DeclineKind>,
    /// What it allows; none where the code leaves it to the others.
    pub disposition: Option<Disposition>,
    /// What the customer is told; given with the kind.
    pub wording: Option<Wording>,
    /// What else to know.
    pub note: Option<String>,
}

/// A code that no section has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownCode {
    /// Where it was looked for: `provider`, a network, or the advice of one.
    pub section: String,
    /// The code.
    pub code: String,
}

impl Taxonomy {
    /// No codes at all: then none is unknown.
    pub const NONE: &'static Self = &Self {
        sections: BTreeMap::new(),
    };

    /// Reads files of codes as one.
    pub fn read(files: &[&str]) -> Result<Self, serde_json::Error> {
        let mut sections = BTreeMap::new();
        for file in files {
            sections.extend(serde_json::from_str::<File>(file)?.sections);
        }
        Ok(Self { sections })
    }

    /// What a section says of a code.
    pub fn find(&self, section: &str, code: &str) -> Option<&Code> {
        self.sections.get(section)?.find(code)
    }

    /// What the customer is told about a decline.
    pub fn wording(&self, decline: &Decline) -> Wording {
        let code = decline.provider_code.as_deref();
        let fits = |entry: &&Code| entry.kind == Some(decline.kind);
        let said = code.and_then(|code| {
            self.of(CodesOf::Provider)
                .find_map(|section| section.find(code).filter(fits))
        });
        // Where a network's code made it another kind, the provider's own word is overruled.
        said.and_then(|entry| entry.wording)
            .unwrap_or_else(|| Wording::of(decline.kind))
    }

    /// Whether a decline is read by default because nobody knows its code.
    pub fn is_guess(&self, decline: &Decline) -> bool {
        let by_default = decline.kind == DeclineKind::DoNotHonor && decline.disposition == Disposition::Retry;
        by_default && self.strange_provider_code(decline).is_some()
    }

    /// The codes of a decline that no section has. Networks without a section of their own are not asked.
    pub fn unknown(&self, decline: &Decline, network: Network) -> Vec<UnknownCode> {
        let mut unknown = Vec::new();
        let mut say = |section: &str, code: &str| {
            unknown.push(UnknownCode {
                section: section.to_owned(),
                code: code.to_owned(),
            });
        };
        if let Some(code) = self.strange_provider_code(decline) {
            say(CodesOf::Provider.as_str(), code);
        }
        let name = network.as_str();
        if let (Some(section), Some(code)) = (self.sections.get(name), &decline.network_code)
            && section.find(code).is_none()
        {
            say(name, code);
        }
        let advice = format!("{name}_advice");
        if let Some(code) = &decline.advice_code
            && self.of(CodesOf::Advice).all(|section| section.find(code).is_none())
        {
            let of_network = self.sections.contains_key(&advice);
            say(if of_network { &advice } else { CodesOf::Advice.as_str() }, code);
        }
        unknown
    }

    fn strange_provider_code<'d>(&self, decline: &'d Decline) -> Option<&'d str> {
        let code = decline.provider_code.as_deref()?;
        let mut sections = self.of(CodesOf::Provider).peekable();
        let known = sections.peek().is_none() || sections.any(|section| section.find(code).is_some());
        (!known).then_some(code)
    }

    fn of(&self, codes_of: CodesOf) -> impl Iterator<Item = &Section> {
        self.sections
            .values()
            .filter(move |section| section.codes_of == codes_of)
    }
}

impl Section {
    /// What it says of a code.
    pub fn find(&self, code: &str) -> Option<&Code> {
        self.codes.iter().find(|entry| entry.code == code)
    }
}
