//! The rules as data and as a pure function: what the files hold, what their schemas say of them, and that nothing breaks them.

mod campaigns;
mod ceiling;
mod codes;
mod debits;
pub mod naive;
mod random;
mod schema;
mod worlds;

use crate::simulate::dice;
