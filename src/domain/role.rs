//! What a person or the holder of an API key may do.

use super::words::words;

words! {
    /// The role of a person or an API key.
    Role {
        /// Sees cases.
        Viewer = "viewer",
        /// Sees reports and aggregates, and no case.
        Marketing = "marketing",
        /// Sees cases and reports, and acts on cases.
        Billing = "billing",
        /// May do everything.
        Admin = "admin",
    }
}

impl Role {
    /// Whether this role may do what `needed` may.
    pub const fn allows(self, needed: Self) -> bool {
        match self {
            Self::Viewer => matches!(needed, Self::Viewer),
            Self::Marketing => matches!(needed, Self::Marketing),
            Self::Billing => matches!(needed, Self::Viewer | Self::Marketing | Self::Billing),
            Self::Admin => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marketing_sees_reports_only_and_viewers_none() {
        let allowed = |role: Role| {
            let words = Role::ALL.iter().filter(|needed| role.allows(**needed));
            words.map(|needed| needed.as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(allowed(Role::Viewer), "viewer");
        assert_eq!(allowed(Role::Marketing), "marketing");
        assert_eq!(allowed(Role::Billing), "viewer marketing billing");
        assert_eq!(allowed(Role::Admin), "viewer marketing billing admin");
    }
}
