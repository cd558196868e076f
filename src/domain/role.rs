//! What the holder of an API key may do.

use super::words::words;

words! {
    /// A role. Each includes those before it, but marketing, which sees reports and no cases.
    Role {
        /// Reads cases.
        Viewer = "viewer",
        /// Reads reports; no personal data.
        Marketing = "marketing",
        /// Acts on cases.
        Billing = "billing",
        /// Does everything.
        Admin = "admin",
    }
}

impl Role {
    /// Whether a holder of this role may do what `needed` may do.
    pub fn includes(self, needed: Self) -> bool {
        match (self, needed) {
            (Self::Marketing, Self::Viewer) => false,
            (have, needed) => have >= needed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_includes_those_before_it_but_marketing() {
        let may = |role: Role| Role::ALL.iter().map(|needed| role.includes(*needed)).collect::<Vec<_>>();
        assert_eq!(may(Role::Viewer), [true, false, false, false]);
        assert_eq!(may(Role::Marketing), [false, true, false, false]);
        assert_eq!(may(Role::Billing), [true, true, true, false]);
        assert_eq!(may(Role::Admin), [true, true, true, true]);
    }
}
