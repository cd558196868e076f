//! The rules as data: what their files hold, and what their schemas say of them.

mod codes;
mod schema;
